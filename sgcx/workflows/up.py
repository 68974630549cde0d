"""`sgcx up`: a plan becomes a server that answers. Every step can be interrupted, and run again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import httpx

from sgcx.atomic_write import write_atomically
from sgcx.codex.catalog import catalog_entries
from sgcx.dialects.deepseek_r1 import chat_template_path
from sgcx.errors import LaunchFailed, SgcxError, UserError
from sgcx.paths import Paths
from sgcx.planning.argv import build_argv, build_environment
from sgcx.planning.calibration import Difference
from sgcx.planning.plan import LaunchPlan
from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.rehearsal.rules import SCRIPT_VARIABLE
from sgcx.server.api_key import ensure_api_key
from sgcx.server.child_config import CONFIG_NAME, ChildConfig, load_child_config
from sgcx.server.install_progress import InstallProgress
from sgcx.server.launch_progress import LaunchFacts, StageChange
from sgcx.server.locks import hold_up_lock
from sgcx.server.ports import client_url, free_port, listens, port_owner, require_free_port
from sgcx.server.readiness import Ready, wait_ready
from sgcx.server.records import (
    ServerRecord,
    ServerState,
    check_server_name,
    load_record,
    save_record,
    server_dir,
)
from sgcx.server.supervisor import ChildHandle, spawn, stop, survey
from sgcx.workflows.calibration import learn
from sgcx.workflows.catalog import catalog_model
from sgcx.workflows.codex import server_key
from sgcx.workflows.down import down_record
from sgcx.workflows.provision import (
    EngineRuntime,
    check_script,
    engine_for,
    provision_engine,
    provision_rehearsal,
)
from sgcx.workflows.servers import Answer, ServerView, find_unrecorded, probe, view_of

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 30000
_FAILED_LAUNCH_STOP_S = 10.0
_UNSEEN_CHILD_S = 5.0
_POLL_S = 0.05
_SCRIPTED_MODELS = "sgcx.rehearsal.sglang_models"
"""The package from which SGLang takes its model classes, the scripted one among them."""


@dataclass(frozen=True, slots=True)
class Step:
    """A stage of the work that has no progress of its own."""

    label: str


UpEvent: TypeAlias = Step | InstallProgress | StageChange
OnEvent: TypeAlias = Callable[[UpEvent], None]


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

    def __post_init__(self) -> None:
        check_server_name(self.name)

    @property
    def listen_host(self) -> str:
        return self.host or DEFAULT_HOST

    @property
    def listen_port(self) -> int:
        return DEFAULT_PORT if self.port is None else self.port


@dataclass(frozen=True, slots=True)
class UpResult:
    record: ServerRecord
    api_key_path: Path | None
    already_running: bool
    scripted: bool
    ignored_options: tuple[str, ...] = ()
    """What the user asked for and a server that was there already does otherwise."""
    facts: LaunchFacts = field(default_factory=LaunchFacts)
    stage_seconds: tuple[tuple[str, float], ...] = ()
    difference: Difference | None = None
    """What the plan predicted beside what SGLang reported; None for a server that was there already."""


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
        else str(_rehearsal_directory(paths))
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


def up(plan: LaunchPlan, options: UpOptions, *, paths: Paths, on_event: OnEvent) -> UpResult:
    """Raises UserError or LaunchFailed; what it had started is stopped then."""
    directory = server_dir(paths.servers, options.name)
    if options.script is not None:
        check_script(options.script)
    with hold_up_lock(directory):
        running = _already_there(plan, options, paths, on_event)
        if running is not None:
            return running
        return _launch(plan, options, directory, paths, on_event)


def _already_there(plan: LaunchPlan, options: UpOptions, paths: Paths, on_event: OnEvent) -> UpResult | None:
    """The server, if an earlier `up` started it; also one that had no time to wait for it."""
    found = survey(paths.servers, options.name)
    if not found.alive:
        return None
    record, child = found.loaded.record, found.child
    unrecorded = find_unrecorded(found)
    if unrecorded is not None:
        _require_not_serving(unrecorded)
    if unrecorded is not None or record is None or child is None or not child.identity.is_alive():
        # An `up` that was killed between starting a child and recording it, or workers without their leader.
        on_event(Step("Stopping what an interrupted start left behind"))
        _stop_leftovers(child, record)
        return None
    now = view_of(paths, record, found)
    if _serves_no_more(now):
        on_event(Step("Waiting until the server that stops has stopped"))
        down_record(paths, now.record)
        return None
    if record.profile != plan.profile.name:
        raise UserError(
            f"The server {record.name!r} is running the profile {record.profile!r}",
            hint=f"Stop it with `sgcx down {record.name}`, or start this one beside it with --name",
        )
    if now.record.state is ServerState.RUNNING:
        result = _result(now.record, plan.profile, already_running=True)
    else:
        with _child_ended_on_failure(paths, options.name):
            result = _wait(now.record, child, plan.profile, options, paths, on_event)
    return replace(result, ignored_options=_ignored_options(result, options))


def _require_not_serving(found: ServerView) -> None:
    if found.answer in (Answer.READY, Answer.SILENT):
        name = found.record.name
        raise UserError(
            f"The server {name!r} is running (pid {found.record.pid}), but {found.record.exit_reason}",
            hint=f"Stop it with `sgcx down {name}`, then start it again",
        )


def _serves_no_more(now: ServerView) -> bool:
    """It was told to stop, by us or by a signal. One that is only silent may be at work."""
    was_ready = now.record.ready_at is not None
    return now.record.state is ServerState.STOPPING or (was_ready and now.answer in (Answer.REFUSES, Answer.CLOSED))


def _stop_leftovers(child: ChildHandle | None, record: ServerRecord | None) -> None:
    target = child or record
    if target is None or stop(target, deadline_s=_FAILED_LAUNCH_STOP_S).leftover_pids:
        raise UserError(
            "Processes of an interrupted start cannot be stopped", hint="`sgcx status` and `sgcx down` say more"
        )


def _launch(plan: LaunchPlan, options: UpOptions, directory: Path, paths: Paths, on_event: OnEvent) -> UpResult:
    if options.port == 0:
        options = replace(options, port=free_port(options.listen_host))
    require_free_port(options.listen_host, options.listen_port)
    on_event(Step("Checking the engine"))
    spec = engine_for(plan)
    runtime = provision_engine(spec, paths, on_event, without_patches=options.without_patches)
    if plan.profile.scripted:
        on_event(Step("Making the rehearsal checkpoint"))
        provision_rehearsal(runtime, _rehearsal_directory(paths))
    with _child_ended_on_failure(paths, options.name):
        child = _start_child(plan, options, directory, runtime, paths)
        record = _record(plan, options, child, runtime)
        save_record(paths.servers, record)
        result = _wait(record, child, plan.profile, options, paths, on_event)
    return replace(result, difference=learn(plan, result.facts, server_name=options.name, paths=paths))


@contextmanager
def _child_ended_on_failure(paths: Paths, name: str) -> Iterator[None]:
    """Whatever goes wrong, Ctrl-C included: the child does not outlive it, and the record says so."""
    try:
        yield
    except BaseException as error:
        _end_child(paths, name)
        record = load_record(paths.servers, name).record
        if record is not None and record.state in (ServerState.STARTING, ServerState.RUNNING):
            with suppress(OSError):  # the first error counts, and may be a full disk itself
                save_record(paths.servers, _ended_record(record, error))
        raise


def _end_child(paths: Paths, name: str) -> None:
    """Found by its traces, because the error may have come before anybody held a handle of it."""
    deadline = time.monotonic() + _UNSEEN_CHILD_S
    while (found := survey(paths.servers, name)).alive:
        if found.child is not None:
            stop(found.child, deadline_s=_FAILED_LAUNCH_STOP_S)
            return
        if time.monotonic() >= deadline:
            return
        time.sleep(_POLL_S)  # its program has not begun yet


def _ended_record(record: ServerRecord, error: BaseException) -> ServerRecord:
    match error:
        case KeyboardInterrupt():
            return record.with_state(ServerState.STOPPED, exit_reason="interrupted while starting")
        case SgcxError():
            return record.with_state(ServerState.FATAL, exit_reason=error.message)
        case _:
            return record.with_state(ServerState.FATAL, exit_reason=f"{type(error).__name__} in `sgcx up`: {error}")


def _start_child(
    plan: LaunchPlan, options: UpOptions, directory: Path, runtime: EngineRuntime, paths: Paths
) -> ChildHandle:
    command = launch_command(plan, options, paths)
    if options.authentication:
        ensure_api_key(paths.api_key)
    config = _child_config(plan, command, paths, options)
    config_path = directory / CONFIG_NAME
    write_atomically(config_path, config.to_json().encode())
    return spawn(
        [str(runtime.python), "-m", "sgcx.server.child", str(config_path)],
        server_dir=directory,
        environment={**runtime.environment, **command.environment},
        cwd=directory,
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


def _record(plan: LaunchPlan, options: UpOptions, child: ChildHandle, runtime: EngineRuntime) -> ServerRecord:
    return ServerRecord(
        name=options.name,
        profile=plan.profile.name,
        served_model_name=plan.profile.served_model_name,
        state=ServerState.STARTING,
        pid=child.identity.pid,
        pid_create_time=child.identity.create_time,
        boot_id=child.identity.boot_id,
        host=options.listen_host,
        port=options.listen_port,
        base_url=f"{client_url(options.listen_host, options.listen_port)}/v1",
        engine=runtime.spec.name,
        sglang_version=plan.sglang_version,
        started_at=time.time(),
        log_path=str(child.log_path),
        context_length=plan.context_length,
        gpu_indices=plan.gpu_indices,
    )


def _wait(
    record: ServerRecord, child: ChildHandle, profile: Profile, options: UpOptions, paths: Paths, on_event: OnEvent
) -> UpResult:
    ready = wait_ready(
        child,
        log_path=child.log_path,
        health=lambda: probe(record.base_url),
        on_stage=on_event,
        deadline_s=options.deadline_s,
    )
    _check_endpoint(record, child, paths)
    record = replace(record, state=ServerState.RUNNING, ready_at=time.time(), exit_reason=None)
    save_record(paths.servers, record)
    return _result(record, profile, already_running=False, ready=ready)


def _check_endpoint(record: ServerRecord, child: ChildHandle, paths: Paths) -> None:
    """SGLang's health says nothing about our endpoint, and whoever took the port meanwhile may be healthy too."""
    if not listens(record.port, survey(paths.servers, record.name).pids):
        raise LaunchFailed(
            f"The port {record.port} was taken while the engine loaded, by {port_owner(record.port)}",
            hint="Choose another port with --port",
            log_path=str(child.log_path),
        )
    key = server_key(record, paths)
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        models = httpx.get(f"{record.base_url}/models", headers=headers, timeout=30, trust_env=False)
        names = [entry["id"] for entry in models.raise_for_status().json()["data"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise LaunchFailed(
            f"The server runs, but its Responses endpoint does not answer: {type(error).__name__}",
            hint="`sgcx logs` has the details",
            log_path=str(child.log_path),
        ) from error
    if record.served_model_name not in names:
        raise LaunchFailed(
            f"The server serves {', '.join(map(str, names))} instead of {record.served_model_name}",
            log_path=str(child.log_path),
        )


def _result(record: ServerRecord, profile: Profile, *, already_running: bool, ready: Ready | None = None) -> UpResult:
    key_path = load_child_config(record.server_dir / CONFIG_NAME).api_key_path
    return UpResult(
        record=record,
        api_key_path=None if key_path is None else Path(key_path),
        already_running=already_running,
        scripted=profile.scripted,
        facts=ready.facts if ready else LaunchFacts(),
        stage_seconds=tuple((stage.value, seconds) for stage, seconds in ready.stage_seconds) if ready else (),
    )


def _ignored_options(result: UpResult, options: UpOptions) -> tuple[str, ...]:
    record = result.record
    differs = {
        "--host": options.host not in (None, record.host),
        "--port": options.port not in (None, 0, record.port),
        "--context": options.context_length not in (None, record.context_length),
        "--without-patch": bool(options.without_patches),
        "--no-auth": not options.authentication and result.api_key_path is not None,
    }
    return tuple(name for name, is_different in differs.items() if is_different)


def _rehearsal_directory(paths: Paths) -> Path:
    return paths.models / "rehearsal"
