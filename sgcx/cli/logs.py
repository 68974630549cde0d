"""`sgcx logs`."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sgcx.cli.options import Json, ServerName

_SEARCHED_LINES = 100_000


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def register(app: typer.Typer) -> None:
    app.command("logs")(logs)


def logs(
    name: ServerName = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay and show new lines.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines to begin with.")] = 100,
    level: Annotated[Level, typer.Option(help="Only lines as serious as that; a traceback is one error.")] = Level.INFO,
    json: Json = False,
) -> None:
    """Show a server's log, without secrets."""
    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.servers import pick

    record = pick(Paths.from_environment(), name)
    path = Path(record.log_path)
    if json:
        render.print_json({"name": record.name, "path": str(path), "lines": list(_last(path, lines, level))})
        return
    show_log(path, follow=follow, lines=lines, level=level)


def show_log(
    path: Path,
    *,
    follow: bool,
    lines: int,
    level: Level = Level.INFO,
    until: Callable[[], bool] = lambda: False,
) -> None:
    from sgcx.server.log_reading import follow as follow_lines

    shown: Iterable[str] = _last(path, lines, level)
    if follow:
        searched = lines if level is Level.INFO else _SEARCHED_LINES
        shown = _serious(follow_lines(path, lines=searched, until=until), level)
    for line in shown:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _last(path: Path, lines: int, level: Level) -> Iterable[str]:
    from sgcx.server.log_reading import tail

    searched = lines if level is Level.INFO else _SEARCHED_LINES
    return deque(_serious(tail(path, searched), level), maxlen=lines)


def _serious(lines: Iterable[str], level: Level) -> Iterator[str]:
    from sgcx.server.log_levels import LogLevel, LogLevels
    from sgcx.server.redaction import redact

    levels, least = LogLevels(), LogLevel[level.name]
    return (redact(line) for line in lines if levels.feed(line) >= least)
