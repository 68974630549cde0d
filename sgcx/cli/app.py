"""The command line: every command registered, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import sys

import typer

from sgcx.cli import codex, doctor, down, engine, hardware, logs, patch, profiles, status, up

EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="sgcx",
    help="Codex on your own GPUs: start a model, point Codex at it, see what is wrong.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (up, status, logs, down, codex, doctor, profiles, hardware, engine, patch):
    module.register(app)


def run() -> None:
    from sgcx.cli.render import render_error
    from sgcx.errors import SgcxError

    try:
        app()
    except SgcxError as error:
        render_error(error, as_json="--json" in sys.argv[1:])
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted\n")
        raise SystemExit(EXIT_INTERRUPTED) from None
