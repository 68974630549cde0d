"""`sgcx restart` and `sgcx supervise`."""

from __future__ import annotations

import typer

from sgcx.cli.options import Json, ServerName, StopDeadline


def register(app: typer.Typer) -> None:
    app.command("restart")(restart)
    app.command("supervise")(supervise)


def restart(
    name: ServerName = None,
    deadline: StopDeadline = 30,
    json: Json = False,
) -> None:
    """Stop a server and start it again as it was: the same plan, port and key."""
    import signal

    from sgcx.cli import render
    from sgcx.cli.progress import LaunchDisplay
    from sgcx.paths import Paths
    from sgcx.server.interrupts import take_for_interrupts
    from sgcx.workflows.restart import restart_server
    from sgcx.workflows.servers import pick_view

    take_for_interrupts(signal.SIGTERM)
    paths = Paths.from_environment()
    view = pick_view(paths, name)
    with LaunchDisplay(render.stderr(), quiet=json) as display:
        record = restart_server(paths, view, display.feed, deadline_s=deadline).record
    if json:
        render.print_json({"name": record.name, "base_url": record.base_url, "pid": record.pid})
    else:
        render.note(f"{record.name} answers again at {record.base_url}")


def supervise(name: ServerName = None) -> None:
    """Stay with a running server, and start it again when it ends by itself. `sgcx up --restart` does so unseen.

    Ctrl-C ends the watching, not the server. `sgcx down` ends both.
    """
    import signal

    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.server.interrupts import take_for_interrupts
    from sgcx.workflows.servers import pick
    from sgcx.workflows.supervision import supervise as watch

    take_for_interrupts(signal.SIGTERM)
    paths = Paths.from_environment()
    watch(pick(paths, name).name, paths, on_event=lambda _: None, on_note=render.note)
