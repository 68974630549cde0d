"""`sgcx patch list|status|apply|revert|export`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.cli.options import Json

if TYPE_CHECKING:
    from sgcx.workflows.patches import Changed, Target

Engine = Annotated[str | None, typer.Option("--engine", help="Only this engine; all that are installed unless given.")]
Location = Annotated[
    Path | None,
    typer.Option("--target", help="Another SGLang: a Python interpreter, a virtual environment or a site-packages."),
]
Names = Annotated[list[str] | None, typer.Argument(metavar="[PATCH]…", help="All patches unless given.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The lines of SGLang that sgcx changes: explain, apply, take back.", no_args_is_help=True)
    group.command("list")(list_all)
    group.command("status")(status)
    group.command("apply")(apply)
    group.command("revert")(revert)
    group.command("export")(export)
    app.add_typer(group, name="patch")


def list_all(json: Json = False) -> None:
    """Explain each patch: what it is for, which file it changes, when it is no longer needed."""
    from sgcx.cli import render
    from sgcx.workflows.patches import list_patches

    patches = list_patches()
    if json:
        keys = ("name", "sglang_version", "purpose", "file", "where", "upstream", "pristine_sha256", "patched_sha256")
        render.print_json([{key: getattr(patch, key) for key in keys} for patch in patches])
        return
    for patch in patches:
        render.stdout().print(f"[bold]{patch.name}[/bold] for SGLang {patch.sglang_version}")
        render.print_pairs(
            [
                ("  Purpose", patch.purpose),
                ("  File", patch.file),
                ("  Where", patch.where),
                ("  Upstream", patch.upstream),
            ]
        )


def status(engine: Engine = None, target: Location = None, json: Json = False) -> None:
    """Say which patches are in; exit code 1 when a file is not the one that a patch is for."""
    from sgcx.cli import render
    from sgcx.workflows.patches import status_of

    found = [(each, status_of(each)) for each in _targets(engine, target)]
    if json:
        render.print_json(
            [
                {
                    **_describe(each),
                    "patches": [{"name": one.name, "state": one.state, "reason": one.reason} for one in patches],
                }
                for each, patches in found
            ]
        )
    else:
        rows = [
            (each.label, each.installation.version, one.name, one.state.replace("_", " "), one.reason or "")
            for each, patches in found
            for one in patches
        ]
        render.print_table(("Where", "SGLang", "Patch", "State", "Note"), rows)
        for each, patches in found:
            if not patches:
                render.note(f"{each.label}: there are no patches for SGLang {each.installation.version}")
    if any(one.state == "conflict" for _, patches in found for one in patches):
        raise typer.Exit(1)


def apply(patches: Names = None, engine: Engine = None, target: Location = None, json: Json = False) -> None:
    """Put patches in. A file that is not exactly the published one is refused."""
    from sgcx.workflows.patches import apply_patches

    _change(apply_patches, "applied", patches, engine, target, as_json=json)


def revert(patches: Names = None, engine: Engine = None, target: Location = None, json: Json = False) -> None:
    """Take patches out, byte for byte. `sgcx up` puts those of its own engines in again."""
    from sgcx.workflows.patches import revert_patches

    _change(revert_patches, "reverted", patches, engine, target, as_json=json)


def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder; made where there is none.")],
    sglang: Annotated[str | None, typer.Option("--sglang", help="The SGLang version; sgcx's own unless given.")] = None,
    json: Json = False,
) -> None:
    """Write the patches as files for `patch -p1` and `git apply`."""
    from sgcx.cli import render
    from sgcx.workflows.patches import export_patches

    written = [str(path) for path in export_patches(directory, sglang)]
    if json:
        render.print_json({"written": written})
        return
    for path in written:
        render.stdout().print(path, markup=False)
    render.note("Apply them in the folder that holds the `sglang` package: patch -p1 < FILE")


def _targets(engine: str | None, location: Path | None) -> tuple[Target, ...]:
    from sgcx.paths import Paths
    from sgcx.workflows.patches import find_targets

    return find_targets(Paths.from_environment(), engine=engine, location=location)


def _change(
    change: Callable[[Target, Sequence[str]], Changed],
    done: str,
    names: list[str] | None,
    engine: str | None,
    location: Path | None,
    *,
    as_json: bool,
) -> None:
    from sgcx.cli import render

    results = [change(target, names or ()) for target in _targets(engine, location)]
    if as_json:
        render.print_json([{**_describe(result.target), done: list(result.names)} for result in results])
        return
    for result in results:
        said = f"{done} {', '.join(result.names)}" if result.names else "nothing to do"
        render.note(f"{result.target.label}: {said}")


def _describe(target: Target) -> dict[str, object]:
    installation = target.installation
    return {"target": target.label, "root": str(installation.root), "sglang_version": installation.version}
