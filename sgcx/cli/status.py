"""`sgcx status` and `sgcx ps`: one table, of all servers or of those that are there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from sgcx.cli.options import Json

if TYPE_CHECKING:
    from sgcx.server.records import ServerRecord
    from sgcx.workflows.servers import ServerView


def register(app: typer.Typer) -> None:
    app.command("status")(status)
    app.command("ps")(ps)


def status(json: Json = False) -> None:
    """Show the servers and whether they answer; those that have ended with the reason."""
    _show(_views(), otherwise="No server has been started", as_json=json)


def ps(json: Json = False) -> None:
    """Show only the servers that run, start, or wait for their restart."""
    from sgcx.workflows.servers import is_there

    _show([view for view in _views() if is_there(view)], otherwise="No server runs", as_json=json)


def _show(views: list[ServerView], *, otherwise: str, as_json: bool) -> None:
    from sgcx.cli import render

    if as_json:
        _print_json(views)
    elif views:
        _print_table(views)
    else:
        render.note(otherwise)


def _views() -> list[ServerView]:
    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.servers import list_views

    views, warnings = list_views(Paths.from_environment())
    for warning in warnings:
        render.warn(warning)
    return list(views)


def _print_json(views: list[ServerView]) -> None:
    import dataclasses

    from sgcx.cli import render

    render.print_json(
        [
            {
                **dataclasses.asdict(view.record),
                "healthy": view.healthy,
                "recorded": view.recorded,
                "supervised": view.supervised,
            }
            for view in views
        ]
    )


def _print_table(views: list[ServerView]) -> None:
    from sgcx.cli import render

    rows = [
        (
            view.record.name,
            view.record.state.value,
            "yes" if view.healthy else "no",
            view.record.served_model_name,
            ",".join(map(str, view.record.gpu_indices)) or "none",
            view.record.base_url,
            str(view.record.pid),
            describe(view.record, time.time()),
        )
        for view in views
    ]
    render.print_table(("Name", "State", "Answers", "Model", "GPUs", "Endpoint", "Pid", "Note"), rows)


def describe(record: ServerRecord, now: float) -> str:
    """Why it ended, when it is started again, how often it was, and whether the gateway serves it."""
    from sgcx.server.records import ServerState

    if record.state is ServerState.BACKOFF and record.restart_at is not None:
        return f"starts again in {max(0.0, record.restart_at - now):.0f} s: {record.exit_reason}"
    if record.state is ServerState.RUNNING:
        times = f"restarted {record.restarts} time{'s' if record.restarts > 1 else ''}" if record.restarts else ""
        gateway = f"through the gateway: {record.gateway_reason}" if record.gateway_reason else ""
        return "; ".join(filter(None, (times, gateway, record.exit_reason)))
    return record.exit_reason or ""
