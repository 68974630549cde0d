"""`sgcx profiles list|show|validate|new`; without a word after it, the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.byte_sizes import gib
from sgcx.cli.options import Json

if TYPE_CHECKING:
    from sgcx.planning.profile import HubCheckpoint, Profile
    from sgcx.profiles import ProfileEntry

_EXIT_INVALID = 2


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Show the models that can be served, and check profile files.", no_args_is_help=False)
    group.callback(invoke_without_command=True)(profiles)
    group.command("list")(list_all)
    group.command("show")(show)
    group.command("validate")(validate)
    group.command("new")(new)
    app.add_typer(group, name="profiles")


def profiles(context: typer.Context, json: Json = False) -> None:
    if context.invoked_subcommand is None:
        _list(as_json=json)


def list_all(json: Json = False) -> None:
    """List all profiles; one whose file cannot be used, with its error."""
    _list(as_json=json)


def show(name: Annotated[str, typer.Argument(help="The profile's name.")], json: Json = False) -> None:
    """Show what a profile says about its model, and where its file is."""
    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.profiles import find_entry

    entry, profile = find_entry(name, Paths.from_environment())
    if json:
        render.print_json(_document(entry))
        return
    render.print_pairs([*_facts(profile), ("File", f"{entry.path} ({entry.origin})")])
    for variant in profile.variants:
        render.stdout().print()
        render.print_pairs(_variant_facts(variant))
    for warning in profile.warnings:
        render.warn(warning)


def validate(
    target: Annotated[str | None, typer.Argument(metavar="[FILE|NAME]", help="All profiles unless given.")] = None,
    json: Json = False,
) -> None:
    """Check profile files; exit code 2 when one cannot be used."""
    from sgcx.cli import render
    from sgcx.errors import UserError
    from sgcx.paths import Paths
    from sgcx.workflows.profiles import check

    checked = check(target, Paths.from_environment())
    if json:
        render.print_json([_document(entry) for entry in checked])
    for entry in () if json else checked:
        if not isinstance(entry.profile, UserError):
            render.stdout().print(f"{entry.path}: sound", markup=False)
        else:
            render.render_error(entry.profile, as_json=False)
    if any(isinstance(entry.profile, UserError) for entry in checked):
        raise typer.Exit(_EXIT_INVALID)


def new(
    name: Annotated[str, typer.Argument(help="The new profile's name.")],
    source: Annotated[str, typer.Option("--from", metavar="FOLDER|OWNER/MODEL", help="The checkpoint, at hand.")],
    json: Json = False,
) -> None:
    """Write a commented profile of a checkpoint, to be looked at and changed."""
    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.profiles import new as write_new

    path = write_new(name, source, Paths.from_environment())
    if json:
        render.print_json({"name": name, "path": str(path)})
        return
    render.print_pairs([("File", str(path)), ("Next", f"sgcx plan {name}")])


def _list(*, as_json: bool) -> None:
    from sgcx.cli import render
    from sgcx.errors import UserError
    from sgcx.paths import Paths
    from sgcx.workflows.profiles import entries

    found = entries(Paths.from_environment())
    if as_json:
        render.print_json([_document(entry) for entry in found])
        return
    rows = [_row(entry.profile, entry) for entry in found if not isinstance(entry.profile, UserError)]
    render.print_table(("Name", "Title", "Origin", "Variants", "Weights", "Context"), rows)
    for entry in found:
        if isinstance(entry.profile, UserError):
            render.render_error(entry.profile, as_json=False)


def _row(profile: Profile, entry: ProfileEntry) -> tuple[str, ...]:
    context = str(profile.max_context_length)
    variants = ", ".join(variant.variant for variant in profile.variants) or "scripted"
    return entry.name, profile.title, entry.origin, variants, _weights(profile), context


def _weights(profile: Profile) -> str:
    return gib(profile.variants[0].weights_bytes) if profile.variants else "-"


def _facts(profile: Profile) -> list[tuple[str, str]]:
    return [
        ("Name", profile.name),
        ("Title", profile.title),
        ("Model", profile.served_model_name),
        ("Dialect", profile.dialect),
        ("Input", ", ".join(profile.input_modalities)),
        ("Context", f"{profile.max_context_length} tokens"),
        ("Thinking", "always" if profile.thinking == "always" else "unless a request asks for none"),
    ]


def _variant_facts(variant: HubCheckpoint) -> list[tuple[str, str]]:
    capability = ".".join(map(str, variant.minimum_compute_capability))
    guessing = "its own prediction layers" if variant.has_prediction_layers else "none"
    return [
        ("Variant", f"{variant.variant}: {variant.title}"),
        ("Repository", f"{variant.repository}, {variant.revision or 'the default branch'}"),
        ("Runs its code", "yes" if variant.trust_remote_code else "no"),
        ("Download", gib(variant.download_bytes)),
        ("Weights", f"{gib(variant.weights_bytes)}, {variant.quantization}"),
        ("GPUs", f"compute capability {capability} or later"),
        ("Draft", variant.draft.repository if variant.draft is not None else guessing),
    ]


def _document(entry: ProfileEntry) -> dict[str, object]:
    import dataclasses

    from sgcx.errors import UserError

    document: dict[str, object] = {"name": entry.name, "path": str(entry.path), "origin": entry.origin}
    if isinstance(entry.profile, UserError):
        return {**document, "error": entry.profile.message, "hint": entry.profile.hint}
    return {**document, "error": None, "profile": dataclasses.asdict(entry.profile)}
