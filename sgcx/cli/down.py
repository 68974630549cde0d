"""`sgcx down`."""

from __future__ import annotations

import typer

from sgcx.cli.options import Json, ServerName, StopDeadline


def register(app: typer.Typer) -> None:
    app.command("down")(down)


def down(
    name: ServerName = None,
    deadline: StopDeadline = 30,
    json: Json = False,
) -> None:
    """Stop a server: answers that run may finish, then everything it started ends."""
    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.down import down_server
    from sgcx.workflows.servers import pick_view

    paths = Paths.from_environment()
    result = down_server(paths, pick_view(paths, name), deadline_s=deadline)
    outcome, seconds = result.stopped.outcome.value, result.stopped.seconds
    if json:
        render.print_json({"name": result.name, "outcome": outcome, "seconds": round(seconds, 1)})
    else:
        render.note(f"{result.name} is down ({outcome.replace('_', ' ')}, {seconds:.1f} s)")
