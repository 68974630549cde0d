"""The command line: every command registered, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import sys
from typing import Annotated, Never

import typer
from typer.core import TyperGroup
from typer.main import get_command

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
from sgcx.cli.characters import show_what_is_possible
from sgcx.errors import SgcxError, machine_error

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


def _show_ascii(wanted: bool) -> None:
    if wanted:
        show_what_is_possible(ascii_only=True)


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
    ascii: Annotated[
        bool,
        typer.Option(
            "--ascii",
            envvar="SGCX_ASCII",
            callback=_show_ascii,
            expose_value=False,
            help="Draw with ASCII characters only.",
        ),
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


def _with_shared_options() -> TyperGroup:
    """`--ascii` may stand behind a command's name too."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    shared = [option for option in root.params if option.name == "ascii"]
    groups = [root]
    for group in groups:
        for command in group.commands.values():
            if isinstance(command, TyperGroup):
                groups.append(command)
            command.params.extend(shared)
    return root


def _end_with(error: SgcxError) -> Never:
    from sgcx.cli.render import render_error

    render_error(error, as_json="--json" in sys.argv[1:] and sys.argv[1:2] != ["codex"])
    raise SystemExit(error.exit_code) from None


def run() -> None:
    show_what_is_possible()
    try:
        _with_shared_options()(prog_name="sgcx")
    except SgcxError as error:
        _end_with(error)
    except OSError as error:
        of_the_machine = machine_error(error)
        if of_the_machine is None:
            raise
        _end_with(of_the_machine)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted\n")
        raise SystemExit(EXIT_INTERRUPTED) from None
