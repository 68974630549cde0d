"""`sgcx status`."""

from __future__ import annotations

import typer

from sgcx.cli.options import Json


def register(app: typer.Typer) -> None:
    app.command("status")(status)


def status(json: Json = False) -> None:
    """Show the servers and whether they answer."""
    import dataclasses

    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.servers import list_views

    views, warnings = list_views(Paths.from_environment())
    for warning in warnings:
        render.warn(warning)
    if json:
        render.print_json(
            [{**dataclasses.asdict(view.record), "healthy": view.healthy, "recorded": view.recorded} for view in views]
        )
        return
    if not views:
        render.note("No server has been started")
        return
    rows = [
        (
            view.record.name,
            view.record.state.value,
            "yes" if view.healthy else "no",
            view.record.served_model_name,
            view.record.base_url,
            str(view.record.pid),
            view.record.exit_reason or "",
        )
        for view in views
    ]
    render.print_table(("Name", "State", "Answers", "Model", "Endpoint", "Pid", "Note"), rows)
