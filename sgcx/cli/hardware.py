"""`sgcx hardware`."""

from __future__ import annotations

import typer

from sgcx.cli.options import Json


def register(app: typer.Typer) -> None:
    app.command("hardware")(hardware)


def hardware(json: Json = False) -> None:
    """Show what the planner sees of this machine. `sgcx plan MODEL --hardware FILE` takes the JSON.

    It names no user, path or address of the machine, so it can be shown to others.
    """
    from sgcx.cli import render
    from sgcx.cli.hardware_view import describe
    from sgcx.hardware.detect import detect_hardware
    from sgcx.paths import Paths

    snapshot = detect_hardware(Paths.from_environment().data)
    if json:
        render.print_json(snapshot.to_json())
    else:
        render.print_pairs(describe(snapshot))
