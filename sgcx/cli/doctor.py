"""`sgcx doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.cli.options import Json

if TYPE_CHECKING:
    from rich.text import Text

    from sgcx.workflows.checks import Check, Status
    from sgcx.workflows.doctor import Report


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    summary: Annotated[bool, typer.Option("--summary", help="Only one line for each check, and the counts.")] = False,
    json: Json = False,
) -> None:
    """Examine machine, engines, servers and Codex. Exit code 1 when something failed; a warning is no failure."""
    import os

    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.doctor import examine

    report = examine(Paths.from_environment(), os.environ)
    if json:
        render.print_json(_document(report))
    else:
        _print(report, summary=summary)
    if report.failed:
        raise typer.Exit(1)


def _print(report: Report, *, summary: bool) -> None:
    from itertools import groupby

    from sgcx.cli import render

    console = render.stdout()
    for group, members in groupby(report.checks, key=lambda check: check.group):
        checks = list(members)
        width = max(len(check.title) for check in checks)
        console.print(f"[bold]{group}[/bold]")
        for check in checks:
            console.print(_line(check, width))
            for name, text in () if summary else (("why", check.why), ("mend", check.mend)):
                if text:
                    console.print(f"       {name}: {text}", markup=False)
        console.print()
    console.print(_counts(report))


def _line(check: Check, width: int) -> Text:
    from rich.text import Text

    mark, style = _mark(check.status)
    return Text.assemble("  ", (f"[{mark}]", style), f" {check.title.ljust(width)}  {check.found}")


def _mark(status: Status) -> tuple[str, str]:
    from sgcx.workflows.checks import Status

    match status:
        case Status.OK:
            return "ok", "green"
        case Status.WARN:
            return "!!", "yellow"
        case Status.FAIL:
            return "XX", "red"
        case Status.SKIP:
            return "--", "dim"


def _counts(report: Report) -> str:
    from sgcx.workflows.checks import Status

    warnings = "warning" if report.count(Status.WARN) == 1 else "warnings"
    names = {Status.OK: "ok", Status.WARN: warnings, Status.FAIL: "failed", Status.SKIP: "skipped"}
    return " · ".join(f"{report.count(status)} {name}" for status, name in names.items())


def _document(report: Report) -> dict[str, object]:
    import dataclasses

    from sgcx.workflows.checks import Status

    return {
        "failed": report.failed,
        "counts": {status.value: report.count(status) for status in Status},
        "checks": [dataclasses.asdict(check) for check in report.checks],
    }
