"""`sgcx top`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.cli.options import Json

if TYPE_CHECKING:
    from sgcx.workflows.top import Load, Watcher


def register(app: typer.Typer) -> None:
    app.command("top")(top)


def top(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One server; all unless given.")] = None,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look for one interval, print, end.")] = False,
    json: Json = False,
) -> None:
    """Watch servers and GPUs: requests, token rates, cache, memory, power. Ends with Ctrl-C."""
    from dataclasses import asdict

    from sgcx.cli import render, top_view
    from sgcx.paths import Paths
    from sgcx.workflows.top import Watcher

    watcher = Watcher(Paths.from_environment(), name)
    if not once and not json and render.stdout().is_interactive:
        top_view.show_live(watcher, interval_s=interval)
        return
    load = _look_twice(watcher, interval)
    if json:
        render.print_json(asdict(load))
    else:
        render.stdout().print(top_view.draw(load, width=render.stdout().width))


def _look_twice(watcher: Watcher, interval_s: float) -> Load:
    """Rates need two looks; without a server that answers one is enough."""
    import time

    load = watcher.look()
    if all(server.problem is not None for server in load.servers):
        return load
    time.sleep(interval_s)
    return watcher.look()
