"""What a server is started with: SGLang's arguments, its environment, and what its child is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sgcx.codex.catalog import catalog_entries
from sgcx.dialects.deepseek_r1 import chat_template_path
from sgcx.paths import Paths
from sgcx.planning.argv import build_argv, build_environment
from sgcx.planning.plan import LaunchPlan
from sgcx.planning.profile import HubCheckpoint
from sgcx.rehearsal.rules import SCRIPT_VARIABLE
from sgcx.server.child_config import ChildConfig
from sgcx.server.launch_recipe import LaunchRecipe
from sgcx.server.records import check_server_name
from sgcx.workflows.catalog import catalog_model
from sgcx.workflows.provision import check_script, engine_for
from sgcx.workflows.weights_sources import sources_of

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 30000
_SCRIPTED_MODELS = "sgcx.rehearsal.sglang_models"
"""The package from which SGLang takes its model classes, the scripted one among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """None: the user has no wish. `port` 0 takes any free one. `name` distinguishes servers; the profile's name
    unless the user has another. `context_length`: the plan has it already; here it is known as a wish."""

    name: str
    host: str | None = None
    port: int | None = None
    context_length: int | None = None
    authentication: bool = True
    script: Path | None = None
    without_patches: tuple[str, ...] = ()
    deadline_s: float = 3600.0
    restart: bool = False
    """Whether a supervisor in the background starts it again when it ends by itself."""

    def __post_init__(self) -> None:
        check_server_name(self.name)

    @property
    def listen_host(self) -> str:
        return self.host or DEFAULT_HOST

    @property
    def listen_port(self) -> int:
        return DEFAULT_PORT if self.port is None else self.port


@dataclass(frozen=True, slots=True)
class LaunchCommand:
    """What `--dry-run` shows: SGLang's arguments, and the environment on top of the user's."""

    argv: tuple[str, ...]
    environment: dict[str, str]


def launch_command(plan: LaunchPlan, options: UpOptions, paths: Paths, *, node_rank: int = 0) -> LaunchCommand:
    profile = plan.profile
    model_path = (
        profile.checkpoint.repository
        if isinstance(profile.checkpoint, HubCheckpoint)
        else str(rehearsal_directory(paths))
    )
    argv = build_argv(
        plan,
        model_path=model_path,
        served_model_name=profile.served_model_name,
        host=options.listen_host,
        port=options.listen_port,
        node_rank=node_rank,
        # R1's published template shows no tool to the model.
        chat_template=str(chat_template_path()) if profile.dialect == "deepseek_r1" else None,
    )
    environment = build_environment(plan)
    if profile.scripted:
        environment["SGLANG_EXTERNAL_MODEL_PACKAGE"] = _SCRIPTED_MODELS
        if options.script is not None:
            environment[SCRIPT_VARIABLE] = str(check_script(options.script))
    return LaunchCommand(argv, environment)


def launch_recipe(plan: LaunchPlan, options: UpOptions, paths: Paths) -> LaunchRecipe:
    command = launch_command(plan, options, paths)
    sources = sources_of(plan.profile, with_draft=plan.value_of("speculative_draft_model_path") is not None)
    return LaunchRecipe(
        name=options.name,
        profile=plan.profile.name,
        scripted=plan.profile.scripted,
        engine=engine_for(plan).name,
        sglang_version=plan.sglang_version,
        host=options.listen_host,
        port=options.listen_port,
        gpu_indices=plan.gpu_indices,
        environment=command.environment,
        without_patches=options.without_patches,
        deadline_s=options.deadline_s,
        weights=tuple((source.repository, source.revision) for source in sources),
        child=_child_config(plan, command, paths, options),
    )


def _child_config(plan: LaunchPlan, command: LaunchCommand, paths: Paths, options: UpOptions) -> ChildConfig:
    profile = plan.profile
    instant = profile.sampling_instant or profile.sampling_thinking
    catalog = catalog_entries([catalog_model(profile, plan.context_length)])
    return ChildConfig(
        sglang_argv=command.argv,
        dialect=profile.dialect,
        served_model_name=profile.served_model_name,
        context_length=plan.context_length,
        images="image" in profile.input_modalities,
        always_thinks=profile.thinking == "always",
        thinking_temperature=profile.sampling_thinking.temperature,
        thinking_top_p=profile.sampling_thinking.top_p,
        instant_temperature=instant.temperature,
        instant_top_p=instant.top_p,
        api_key_path=str(paths.api_key) if options.authentication else None,
        store_path=str(paths.responses),
        sealing_key_path=str(paths.sealing_key),
        catalog=tuple(catalog),
    )


def rehearsal_directory(paths: Paths) -> Path:
    return paths.models / "rehearsal"
