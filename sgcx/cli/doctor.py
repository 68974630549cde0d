"""`sgcx doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.cli.options import Json, Yes

if TYPE_CHECKING:
    from rich.text import Text

    from sgcx.paths import Paths
    from sgcx.workflows.checks.check import Check, Status
    from sgcx.workflows.doctor import Report


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    summary: Annotated[bool, typer.Option("--summary", help="Only one line for each check, and the counts.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 on a warning, too.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Offer to mend what is safe to mend.")] = False,
    yes: Yes = False,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Write an archive (.tar.gz) for whoever helps, without secrets."),
    ] = None,
    json: Json = False,
) -> None:
    """Examine machine, engines, servers and Codex. Exit code 1 when something failed; a warning is no failure."""
    import os

    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.doctor import examine

    paths = Paths.from_environment()
    report = examine(paths, os.environ)
    if fix and _mend(report, paths, yes=yes):
        report = examine(paths, os.environ)
    if json:
        render.print_json(_document(report))
    else:
        _print(report, summary=summary)
    if bundle is not None:
        _write_bundle(bundle, report, paths)
    if report.failed(strict=strict):
        raise typer.Exit(1)


def _write_bundle(path: Path, report: Report, paths: Paths) -> None:
    import os

    from sgcx.cli import render
    from sgcx.workflows.bundle import write_bundle

    written = write_bundle(path, _document(report), paths, os.environ)
    for reason in written.left_out:
        render.warn(f"left out of the bundle: {reason}")
    render.note(f"{written.path}: {len(written.members)} files, without secrets; look through it before you send it")


def _mend(report: Report, paths: Paths, *, yes: bool) -> bool:
    """Whether anything was changed. One that cannot be mended stops no other."""
    from sgcx.cli import render
    from sgcx.cli.prompts import confirm
    from sgcx.errors import SgcxError
    from sgcx.workflows.fixes import apply_fix

    fixes = [check.fix for check in report.checks if check.fix is not None]
    if not fixes:
        render.note("There is nothing that doctor can mend by itself")
    changed = False
    for fix in fixes:
        if not confirm(f"{fix.label[0].upper()}{fix.label[1:]}?", yes=yes):
            continue
        try:
            render.note(f"fixed: {apply_fix(fix, paths)}")
            changed = True
        except (SgcxError, OSError) as error:
            render.warn(f"could not {fix.label}: {error}")
    return changed


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
            fix = "`sgcx doctor --fix` can: " + check.fix.label if check.fix is not None else None
            for name, text in () if summary else (("why", check.why), ("mend", check.mend), ("fix", fix)):
                if text:
                    console.print(f"       {name}: {text}", markup=False)
        console.print()
    console.print(_counts(report))


def _line(check: Check, width: int) -> Text:
    from rich.text import Text

    mark, style = _mark(check.status)
    return Text.assemble("  ", (f"[{mark}]", style), f" {check.title.ljust(width)}  {check.found}")


def _mark(status: Status) -> tuple[str, str]:
    from sgcx.workflows.checks.check import Status

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
    from sgcx.workflows.checks.check import Status

    warnings = "warning" if report.count(Status.WARN) == 1 else "warnings"
    names = {Status.OK: "ok", Status.WARN: warnings, Status.FAIL: "failed", Status.SKIP: "skipped"}
    return " · ".join(f"{report.count(status)} {name}" for status, name in names.items())


def _document(report: Report) -> dict[str, object]:
    import dataclasses

    from sgcx.workflows.checks.check import Status

    return {
        "failed": report.failed(),
        "counts": {status.value: report.count(status) for status in Status},
        "checks": [
            {**dataclasses.asdict(check), "fix": None if check.fix is None else check.fix.label}
            for check in report.checks
        ],
    }
