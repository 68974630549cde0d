"""`sgcx logs`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from sgcx.cli.options import Json, ServerName


def register(app: typer.Typer) -> None:
    app.command("logs")(logs)


def logs(
    name: ServerName = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay and show new lines.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines to begin with.")] = 100,
    json: Json = False,
) -> None:
    """Show a server's log, without secrets."""
    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.server.log_reading import tail
    from sgcx.server.redaction import redact
    from sgcx.workflows.servers import pick

    record = pick(Paths.from_environment(), name)
    path = Path(record.log_path)
    if json:
        render.print_json(
            {"name": record.name, "path": str(path), "lines": [redact(line) for line in tail(path, lines)]}
        )
        return
    show_log(path, follow=follow, lines=lines)


def show_log(path: Path, *, follow: bool, lines: int, until: Callable[[], bool] = lambda: False) -> None:
    from sgcx.server.log_reading import follow as follow_lines
    from sgcx.server.log_reading import tail
    from sgcx.server.redaction import redact

    shown = follow_lines(path, lines=lines, until=until) if follow else iter(tail(path, lines))
    for line in shown:
        sys.stdout.write(redact(line) + "\n")
        sys.stdout.flush()
