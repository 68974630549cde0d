"""`sgcx patch list|status|apply|revert|export`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.cli.options import Json

if TYPE_CHECKING:
    from sgcx.engines.patches.installation import SglangInstallation

Target = Annotated[
    Path,
    typer.Option("--target", help="Your SGLang: a Python interpreter, a virtual environment or a site-packages."),
]
Names = Annotated[list[str] | None, typer.Argument(metavar="[PATCH]...", help="All patches unless given.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The lines of SGLang that sgcx changes: explain, export, apply.", no_args_is_help=True)
    group.command("list")(list_all)
    group.command("status")(status)
    group.command("apply")(apply)
    group.command("revert")(revert)
    group.command("export")(export)
    app.add_typer(group, name="patch")


def list_all(
    json: Json = False,
    as_page: Annotated[bool, typer.Option("--markdown", help="As the page docs/patches.md.")] = False,
) -> None:
    """Explain each patch: what it is for, which file it changes, when it is no longer needed."""
    from sgcx.cli import render
    from sgcx.workflows.patches import list_patches, patches_page

    if as_page:
        typer.echo(patches_page(), nl=False)
        return
    patches = list_patches()
    if json:
        keys = ("name", "sglang_version", "purpose", "file", "where", "upstream", "pristine_sha256", "patched_sha256")
        render.print_json(
            [{key: getattr(patch, key) for key in keys} | {"needs": list(patch.needs)} for patch in patches]
        )
        return
    for patch in patches:
        render.stdout().print(f"[bold]{patch.name}[/bold] for SGLang {patch.sglang_version}")
        rows = [("Purpose", patch.purpose), ("File", patch.file), ("Where", patch.where), ("Upstream", patch.upstream)]
        if patch.needs:
            rows.append(("Needs", ", ".join(patch.needs)))
        render.print_pairs([(f"  {title}", text) for title, text in rows])


def status(target: Target, json: Json = False) -> None:
    """Say which patches are in; exit code 1 when a file is not the one that a patch is for."""
    from sgcx.cli import render
    from sgcx.workflows.patches import find_installation, status_of

    installation = find_installation(target)
    patches = status_of(installation)
    if json:
        found = [{"name": one.name, "state": one.state, "reason": one.reason} for one in patches]
        render.print_json({**_describe(installation), "patches": found})
    elif patches:
        rows = [(one.name, one.state.replace("_", " "), one.reason or "") for one in patches]
        render.print_table(("Patch", "State", "Note"), rows)
    else:
        render.note(f"There are no patches for SGLang {installation.version}")
    if any(one.state == "conflict" for one in patches):
        raise typer.Exit(1)


def apply(target: Target, patches: Names = None, json: Json = False) -> None:
    """Put patches in. A file that is not exactly the published one is refused."""
    from sgcx.workflows.patches import apply_patches

    _change(apply_patches, "applied", patches, target, as_json=json)


def revert(target: Target, patches: Names = None, json: Json = False) -> None:
    """Take patches out, byte for byte."""
    from sgcx.workflows.patches import revert_patches

    _change(revert_patches, "reverted", patches, target, as_json=json)


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


def _change(
    change: Callable[[SglangInstallation, Sequence[str]], tuple[str, ...]],
    done: str,
    names: list[str] | None,
    target: Path,
    *,
    as_json: bool,
) -> None:
    from sgcx.cli import render
    from sgcx.workflows.patches import find_installation

    installation = find_installation(target)
    changed = change(installation, names or ())
    if as_json:
        render.print_json({**_describe(installation), done: list(changed)})
        return
    render.note(f"{done} {', '.join(changed)}" if changed else "nothing to do")


def _describe(installation: SglangInstallation) -> dict[str, object]:
    return {"root": str(installation.root), "sglang_version": installation.version}
