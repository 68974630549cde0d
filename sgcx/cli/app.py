"""The command line: every command registered, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sgcx import __version__
from sgcx.cli import (
    bench,
    codex,
    doctor,
    down,
    engine,
    export,
    gateway,
    hardware,
    logs,
    patch,
    plan,
    profiles,
    restart,
    status,
    top,
    up,
    weights,
)
from sgcx.errors import SgcxError

EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="sgcx",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help in boxes would import all of rich: three times the start
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"sgcx {__version__}\n")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Codex on your own GPUs: start a model, point Codex at it, see what is wrong."""


for module in (
    plan,
    up,
    status,
    top,
    bench,
    logs,
    down,
    restart,
    weights,
    codex,
    doctor,
    profiles,
    hardware,
    engine,
    patch,
    gateway,
    export,
):
    module.register(app)


def run() -> None:
    try:
        app(prog_name="sgcx")
    except SgcxError as error:
        from sgcx.cli.render import render_error

        render_error(error, as_json="--json" in sys.argv[1:] and sys.argv[1:2] != ["codex"])
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted\n")
        raise SystemExit(EXIT_INTERRUPTED) from None
