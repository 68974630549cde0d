"""What all export formats share: the files, the names in them, and the commands that they run."""

from __future__ import annotations

from dataclasses import dataclass, replace

import yaml

from sgcx import __version__
from sgcx.dialects.deepseek_r1 import chat_template_path
from sgcx.paths import Paths
from sgcx.planning.plan import LaunchPlan
from sgcx.workflows.launch_command import LaunchCommand, UpOptions, launch_command

ENGINE_PORT = 30000
GATEWAY_PORT = 30001
ROUTER_PORT = 31000
ROUTER_VERSION = "0.3.2"
SGCX_HOME = "/var/lib/sgcx"
API_KEY_PATH = f"{SGCX_HOME}/config/api-key"
CHAT_TEMPLATE_PATH = "/etc/sgcx/chat-template.jinja"
"""In containers, where the host's files are not."""
HEADER = f"# Written by sgcx {__version__}. No secret is in here.\n"
DOCKERFILE = f"""\
{HEADER}# The gateway's image: the endpoint for Codex, and SGLang's router for replicas.
FROM python:3.12-slim
RUN pip install --no-cache-dir sgcx=={__version__} sglang-router=={ROUTER_VERSION}
ENV SGCX_HOME={SGCX_HOME}
ENTRYPOINT ["sgcx"]
"""
_NEEDS_A_PATCH = "--sleep-on-idle"
"""SGLang as published sleeps over a grammar that is being compiled, too, for up to a second."""
_VISIBLE_DEVICES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")


@dataclass(frozen=True, slots=True)
class ExportFile:
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """`name`: of the server. `pinned`: what of the user's wishes a plan made later must hear again, as options of
    `sgcx up`. `image`: the gateway's, made from the Dockerfile."""

    name: str
    port: int = ENGINE_PORT
    pinned: tuple[str, ...] = ()
    image: str = f"sgcx:{__version__}"
    replicas: int = 1


def container_command(
    plan: LaunchPlan, options: ExportOptions, paths: Paths, *, host: str, node_rank: int = 0
) -> LaunchCommand:
    """SGLang alone, in its own image: the container's GPUs are those that it sees."""
    up_options = UpOptions(name=options.name, host=host, port=ENGINE_PORT)
    command = launch_command(plan, up_options, paths, node_rank=node_rank)
    template = str(chat_template_path())
    argv = (CHAT_TEMPLATE_PATH if part == template else part for part in command.argv if part != _NEEDS_A_PATCH)
    environment = {name: value for name, value in command.environment.items() if name not in _VISIBLE_DEVICES}
    return replace(command, argv=("python3", "-m", "sglang.launch_server", *argv), environment=environment)


def gateway_arguments(plan: LaunchPlan, *, upstream_port: int, upstream_host: str = "127.0.0.1") -> list[str]:
    """Everything is said, so that the gateway can start before the engine."""
    profile = plan.profile
    return [
        *("gateway", "--upstream", f"http://{upstream_host}:{upstream_port}/v1"),
        *("--model", profile.served_model_name, "--context", str(plan.context_length)),
        *("--dialect", profile.dialect, "--host", "0.0.0.0", "--port", str(GATEWAY_PORT)),
        *(("--images",) if "image" in profile.input_modalities else ()),
    ]


def engine_image(plan: LaunchPlan) -> str:
    return f"lmsysorg/sglang:v{plan.sglang_version}"


def chat_template(plan: LaunchPlan) -> str | None:
    """The text of the one that takes the place of the model's own; None where that will do."""
    return chat_template_path().read_text(encoding="utf-8") if plan.profile.dialect == "deepseek_r1" else None


def to_yaml(*documents: object) -> str:
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=100, explicit_start=len(documents) > 1)


class _Plain(yaml.SafeDumper):
    """Repeats what occurs twice: manifests are read by people, and anchors are not."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True
