"""A plan as a Compose file: SGLang in its own image, and the gateway in the same network space.

The engine listens on that space's loopback, where only the gateway is, so it needs no key of its own.
"""

from __future__ import annotations

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.plan import LaunchPlan
from sgcx.workflows.export_plan import (
    API_KEY_PATH,
    CHAT_TEMPLATE_PATH,
    DOCKERFILE,
    ENGINE_PORT,
    GATEWAY_PORT,
    HEADER,
    SGCX_HOME,
    ExportFile,
    ExportOptions,
    chat_template,
    container_command,
    engine_image,
    gateway_arguments,
    to_yaml,
)

_TEMPLATE_NAME = "chat-template.jinja"
_HEALTHY = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{ENGINE_PORT}/health', timeout=10)"


def compose_files(plan: LaunchPlan, options: ExportOptions, paths: Paths) -> tuple[ExportFile, ...]:
    if plan.node_count > 1:
        raise UserError("Compose runs on one machine", hint="Export a plan for several as systemd or k8s")
    template = chat_template(plan)
    document: dict[str, object] = {
        "name": f"sgcx-{options.name}".lower().replace(".", "-"),
        "services": {"engine": _engine(plan, options, paths), "gateway": _gateway(plan, options)},
        # Mode 0600: made by `sgcx up`, or by you.
        "secrets": {"api-key": {"file": f"${{SGCX_KEY_FILE:-{_escaped(str(paths.api_key))}}}"}},
        "volumes": {"sgcx-state": {}},
    }
    if template is not None:
        document["configs"] = {"chat-template": {"file": f"./{_TEMPLATE_NAME}"}}
    files = [ExportFile("compose.yaml", HEADER + to_yaml(document)), ExportFile("Dockerfile", DOCKERFILE)]
    return (*files, ExportFile(_TEMPLATE_NAME, template)) if template is not None else tuple(files)


def _engine(plan: LaunchPlan, options: ExportOptions, paths: Paths) -> dict[str, object]:
    command = container_command(plan, options, paths, host="127.0.0.1")
    devices = {
        "driver": "nvidia",
        "device_ids": [str(index) for index in plan.gpu_indices],
        "capabilities": ["gpu"],
    }
    configs = {"configs": [{"source": "chat-template", "target": CHAT_TEMPLATE_PATH}]}
    return {
        "image": engine_image(plan),
        "command": [_escaped(part) for part in command.argv],
        "environment": {name: _escaped(value) for name, value in sorted(command.environment.items())},
        "ports": [f"127.0.0.1:{options.port}:{GATEWAY_PORT}"],
        "volumes": ["${HF_HOME:-${HOME}/.cache/huggingface}:/root/.cache/huggingface"],
        **(configs if chat_template(plan) is not None else {}),
        "ipc": "host",
        "ulimits": {"memlock": -1, "nofile": 65536},
        "deploy": {"resources": {"reservations": {"devices": [devices]}}},
        "healthcheck": {
            "test": ["CMD", "python3", "-c", _HEALTHY],
            "interval": "30s",
            "timeout": "15s",
            "start_period": "3600s",
        },
        "restart": "unless-stopped",
        "stop_grace_period": "120s",
    }


def _gateway(plan: LaunchPlan, options: ExportOptions) -> dict[str, object]:
    return {
        "image": options.image,
        "build": {"context": "."},
        "network_mode": "service:engine",
        "command": [_escaped(part) for part in gateway_arguments(plan, upstream_port=ENGINE_PORT)],
        "secrets": [{"source": "api-key", "target": API_KEY_PATH}],
        "volumes": [f"sgcx-state:{SGCX_HOME}/state"],
        "restart": "unless-stopped",
    }


def _escaped(text: str) -> str:
    """Compose replaces variables in every text."""
    return text.replace("$", "$$")
