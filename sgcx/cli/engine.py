"""`sgcx engine list|install|verify|repair|remove`; without a word after it, the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.byte_sizes import gib
from sgcx.cli.options import Json, Yes

if TYPE_CHECKING:
    from sgcx.environments.environment import EngineState
    from sgcx.environments.verification import Problem

EngineName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="The engine; all that are installed unless given.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Install, check, mend and remove SGLang environments.", no_args_is_help=False)
    group.callback(invoke_without_command=True)(engine)
    group.command("list")(list_all)
    group.command("install")(install)
    group.command("verify")(verify)
    group.command("repair")(repair)
    group.command("remove")(remove)
    app.add_typer(group, name="engine")


def engine(context: typer.Context, json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_all(json=json)


def list_all(json: Json = False) -> None:
    """List the engines that sgcx knows, and the state each is in."""
    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.engines import list_engines

    states = list_engines(Paths.from_environment())
    if json:
        render.print_json([_document(state) for state in states])
        return
    rows = [
        (
            state.spec.name,
            state.status.value,
            "NVIDIA GPUs" if state.spec.accelerator == "cuda" else "the CPU",
            gib(state.size_bytes) if state.size_bytes else "",
            state.reason or "",
        )
        for state in states
    ]
    render.print_table(("Name", "State", "For", "Size", "Note"), rows)


def install(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The engine; the one for this machine unless given.")
    ] = None,
    json: Json = False,
) -> None:
    """Install an engine, or complete one whose installation was interrupted."""
    from sgcx.cli import render
    from sgcx.cli.progress import LaunchDisplay
    from sgcx.paths import Paths
    from sgcx.workflows.engines import install_engine, spec_for_this_machine

    with LaunchDisplay(render.stderr(), quiet=json) as display:
        state = install_engine(spec_for_this_machine(name), Paths.from_environment(), display.feed)
    if json:
        render.print_json(_document(state))
    else:
        render.note(f"{state.spec.name} is ready: {gib(state.size_bytes)} in {state.path}")


def verify(name: EngineName = None, json: Json = False) -> None:
    """Compare every file with its recorded hash; exit code 1 when one differs."""
    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.engines import installed_specs, verify_engine

    paths = Paths.from_environment()
    found = {spec.name: verify_engine(spec, paths) for spec in installed_specs(name, paths)}
    if json:
        render.print_json(_problem_documents(found))
    for engine_name, problems in () if json else found.items():
        for problem in problems:
            render.stdout().print(f"{engine_name}: {problem.message}", markup=False)
        if problems:
            render.note(f"`sgcx engine repair {engine_name}` reinstalls what differs")
        else:
            render.note(f"{engine_name} is as it was installed")
    if any(found.values()):
        raise typer.Exit(1)


def repair(name: EngineName = None, json: Json = False) -> None:
    """Reinstall what `verify` finds wrong; make an unusable engine anew."""
    from sgcx.cli import render
    from sgcx.cli.progress import LaunchDisplay
    from sgcx.paths import Paths
    from sgcx.workflows.engines import installed_specs, repair_engine

    paths = Paths.from_environment()
    with LaunchDisplay(render.stderr(), quiet=json) as display:
        found = {spec.name: repair_engine(spec, paths, display.feed) for spec in installed_specs(name, paths)}
    if json:
        render.print_json(_problem_documents(found))
    for engine_name, problems in () if json else found.items():
        for problem in problems:
            render.note(f"mended: {problem.message}")
        render.note(f"{engine_name} is sound")


def remove(name: Annotated[str, typer.Argument(help="The engine.")], yes: Yes = False, json: Json = False) -> None:
    """Delete an engine. `sgcx up` installs it again when it is needed."""
    from sgcx.cli import render
    from sgcx.cli.prompts import confirm
    from sgcx.paths import Paths
    from sgcx.workflows.engines import removable_engine, remove_engine

    paths = Paths.from_environment()
    state = removable_engine(name, paths)
    if not confirm(f"Delete {state.path} ({gib(state.size_bytes)})?", yes=yes):
        raise typer.Exit(1)
    freed_bytes = remove_engine(state.spec, paths)
    if json:
        render.print_json({"name": name, "freed_bytes": freed_bytes})
    else:
        render.note(f"{name} is removed, {gib(freed_bytes)} are free again")


def _document(state: EngineState) -> dict[str, object]:
    return {
        "name": state.spec.name,
        "sglang_version": state.spec.sglang_version,
        "accelerator": state.spec.accelerator,
        "status": state.status.value,
        "reason": state.reason,
        "path": str(state.path),
        "size_bytes": state.size_bytes,
    }


def _problem_documents(found: dict[str, tuple[Problem, ...]]) -> list[dict[str, object]]:
    return [
        {"name": name, "problems": [{"package": each.package, "message": each.message} for each in problems]}
        for name, problems in found.items()
    ]
