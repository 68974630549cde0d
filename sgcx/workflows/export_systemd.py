"""A plan as systemd units: `sgcx up` on one machine, SGLang's own command on each of several."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sgcx.paths import Paths
from sgcx.planning.plan import LaunchPlan
from sgcx.workflows.export_plan import HEADER, ExportFile, ExportOptions, gateway_arguments
from sgcx.workflows.launch_command import UpOptions, launch_command
from sgcx.workflows.provision import engine_for

_INSTALL = "# ~/.config/systemd/user/{name}, then: systemctl --user enable --now {name}; loginctl enable-linger\n"
_STOP_S = 120
"""Longer than `sgcx down` waits for running answers."""


def systemd_files(plan: LaunchPlan, options: ExportOptions, paths: Paths) -> tuple[ExportFile, ...]:
    if plan.node_count == 1:
        return (_single(plan, options),)
    nodes = (_node(plan, options, paths, rank) for rank in range(plan.node_count))
    return (*nodes, _gateway(plan, options))


def _single(plan: LaunchPlan, options: ExportOptions) -> ExportFile:
    """In the foreground: systemd sees it end, and stops it as Ctrl-C would."""
    command = [
        *(sys.executable, "-m", "sgcx", "up", plan.profile.name, "--name", options.name),
        *("--port", str(options.port), *options.pinned, "--foreground", "--yes"),
    ]
    name = f"sgcx-{options.name}.service"
    return _unit(name, f"{plan.profile.title} for Codex", command, _own_environment())


def _node(plan: LaunchPlan, options: ExportOptions, paths: Paths, rank: int) -> ExportFile:
    """The engine's environment must be on each machine: `sgcx engine install`."""
    python = paths.engines / engine_for(plan).name / "venv" / "bin" / "python"
    command = launch_command(plan, UpOptions(name=options.name, port=options.port), paths, node_rank=rank)
    name = f"sgcx-{options.name}-node{rank}.service"
    description = f"{plan.profile.title}, node {rank} of {plan.node_count}"
    return _unit(name, description, [str(python), "-m", "sglang.launch_server", *command.argv], command.environment)


def _gateway(plan: LaunchPlan, options: ExportOptions) -> ExportFile:
    """On the first node."""
    command = [sys.executable, "-m", "sgcx", *gateway_arguments(plan, upstream_port=options.port)]
    title = f"{plan.profile.title} for Codex: the gateway, on node 0"
    return _unit(f"sgcx-{options.name}-gateway.service", title, command, _own_environment())


def _own_environment() -> dict[str, str]:
    """Where this sgcx keeps its things, if not at the usual place."""
    names = ("SGCX_HOME", "HF_HOME", "HF_HUB_CACHE")
    return {name: str(Path(os.environ[name]).absolute()) for name in names if os.environ.get(name)}


def _unit(name: str, description: str, command: Sequence[str], environment: Mapping[str, str]) -> ExportFile:
    lines = [
        "[Unit]",
        f"Description={description.replace('%', '%%')}",
        "StartLimitIntervalSec=900",
        "StartLimitBurst=5",
        "",
        "[Service]",
        "Type=exec",
        *(f"Environment={quote(f'{key}={value}')}" for key, value in sorted(environment.items())),
        f"ExecStart={' '.join(quote(part, in_command=True) for part in command)}",
        "Restart=on-failure",
        "RestartSec=15",
        f"TimeoutStopSec={_STOP_S}",
        "KillMode=mixed",
        "LimitNOFILE=65536",
        "NoNewPrivileges=true",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return ExportFile(name, HEADER + _INSTALL.format(name=name) + "\n".join(lines) + "\n")


def quote(text: str, *, in_command: bool = False) -> str:
    """As systemd reads it: `%` names things everywhere, `$` variables in commands."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped.replace("$", "$$") if in_command else escaped}"'
