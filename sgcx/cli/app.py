"""The command line: every command registered, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import sys

import typer

from sgcx.cli import codex, doctor, down, engine, gateway, hardware, logs, patch, profiles, status, up
from sgcx.errors import SgcxError

EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="sgcx",
    help="Codex on your own GPUs: start a model, point Codex at it, see what is wrong.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help in boxes would import all of rich: three times the start
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for module in (up, status, logs, down, codex, doctor, profiles, hardware, engine, patch, gateway):
    module.register(app)


def run() -> None:
    try:
        app()
    except SgcxError as error:
        from sgcx.cli.render import render_error

        render_error(error, as_json="--json" in sys.argv[1:] and sys.argv[1:2] != ["codex"])
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted\n")
        raise SystemExit(EXIT_INTERRUPTED) from None
