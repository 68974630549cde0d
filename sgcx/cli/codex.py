"""`sgcx codex-config` and `sgcx codex`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from sgcx.cli.options import Json, ServerName, Yes

if TYPE_CHECKING:
    from sgcx.paths import Paths
    from sgcx.workflows.codex import CodexChange


class _Verbatim(TyperCommand):
    """All arguments are for another program, `--` and `--help` too."""

    # The base's `Context` has no public name; Typer makes no others.
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        super().parse_args(ctx, [])
        ctx.args = list(args)
        return ctx.args


def register(app: typer.Typer) -> None:
    app.command("codex-config")(codex_config)
    app.command("codex", cls=_Verbatim)(codex)


def codex_config(
    name: ServerName = None,
    url: Annotated[
        str | None, typer.Option(help="Any sgcx server, such as a gateway: http://127.0.0.1:30001/v1.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --url: the model, if the server has several.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="With --url: file with the server's API key; else this machine's.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was written.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Point Codex at a server: its own profile file and model catalog, nothing else."""
    from sgcx.paths import Paths

    paths = Paths.from_environment()
    if undo:
        _refuse_a_choice(name, url, model, key_file)
        _undo(paths, as_json=json)
    elif url is not None:
        _write(paths, _plan_for_url(paths, name, url, model, key_file), yes=yes, as_json=json)
    else:
        _write(paths, _plan_for_server(paths, name, model, key_file), yes=yes, as_json=json)


def _refuse_a_choice(*chosen: object) -> None:
    from sgcx.errors import UserError

    if any(each is not None for each in chosen):
        raise UserError("--undo takes back all that was written, for whichever server", hint="Give it alone")


def _plan_for_url(paths: Paths, name: str | None, url: str, model: str | None, key_file: Path | None) -> CodexChange:
    from sgcx.errors import UserError
    from sgcx.workflows.codex_url import EndpointChoice, plan_codex_config_for_url

    if name is not None:
        raise UserError("A server's name and --url say two things", hint="Give one of them")
    return plan_codex_config_for_url(EndpointChoice(url=url, model=model, key_file=key_file), paths)


def _plan_for_server(paths: Paths, name: str | None, model: str | None, key_file: Path | None) -> CodexChange:
    from sgcx.errors import UserError
    from sgcx.workflows.codex import plan_codex_config
    from sgcx.workflows.servers import pick

    if model is not None or key_file is not None:
        raise UserError("--model and --key-file go with --url", hint="A server's model and key are known by its name")
    return plan_codex_config(pick(paths, name), paths)


def _write(paths: Paths, change: CodexChange, *, yes: bool, as_json: bool) -> None:
    from sgcx.cli import render
    from sgcx.cli.prompts import confirm
    from sgcx.workflows.codex import write_codex_config

    files = [str(file.path) for file in change.changes.files]
    if files:
        if not as_json:
            render.stdout().print(change.changes.diff, markup=False)
        if not confirm("Write this?", yes=yes):
            raise typer.Exit(1)
        write_codex_config(change, paths)
    if as_json:
        render.print_json({"written": files, "home": str(change.home)})
    elif files:
        render.note("Written. Run `sgcx codex`, or `codex -p sgcx`; `sgcx codex-config --undo` takes it back")
    else:
        render.note("Codex is configured for this server already")


def _undo(paths: Paths, *, as_json: bool) -> None:
    from sgcx.cli import render
    from sgcx.workflows.codex import undo_codex_config

    undone = undo_codex_config(paths)
    if as_json:
        render.print_json([{"path": str(file.path), "outcome": file.outcome} for file in undone])
    elif undone:
        for file in undone:
            render.note(f"{file.outcome}: {file.path}")
    else:
        render.note("There is nothing to undo")


def codex(context: typer.Context) -> None:
    """Run Codex on the server. All arguments are Codex's own: sgcx codex exec --sandbox workspace-write "TASK"."""
    import os

    from sgcx.codex.runner import build_command, build_environment, exec_codex, require_codex
    from sgcx.errors import UserError
    from sgcx.workflows.codex import is_configured

    if not is_configured():
        if context.args in (["-h"], ["--help"]):
            typer.echo(context.get_help())
            return
        raise UserError("Codex has not been pointed at a server", hint="Run `sgcx codex-config` first")
    command = build_command(require_codex(os.environ), context.args)
    exec_codex(command, build_environment(os.environ))
