"""`sgcx pull`, `sgcx models` and `sgcx rm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.byte_sizes import gib
from sgcx.cli.completion import complete_model
from sgcx.cli.options import Json, Yes

if TYPE_CHECKING:
    from sgcx.workflows.weights import ModelAtHand, Pulled


def register(app: typer.Typer) -> None:
    app.command("pull")(pull)
    app.command("models")(models)
    app.command("rm")(remove)


def pull(
    model: Annotated[str, typer.Argument(help="A profile, or owner/model on the hub.", autocompletion=complete_model)],
    variant: Annotated[str | None, typer.Option(help="A profile's variant; the one that this machine serves.")] = None,
    revision: Annotated[str | None, typer.Option(help="A repository's commit, tag or branch.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Verify also what was there before.")] = False,
    json: Json = False,
) -> None:
    """Download a model's weights and verify them. What has arrived is kept: run it again after an interruption."""
    from sgcx.cli.progress import LaunchDisplay
    from sgcx.cli.render import print_json, stderr
    from sgcx.paths import Paths
    from sgcx.workflows.weights import pull as fetch
    from sgcx.workflows.weights import sources_to_pull

    sources = sources_to_pull(model, variant, revision, Paths.from_environment())
    with LaunchDisplay(stderr(), quiet=json) as display:
        pulled = [fetch(source, display.feed, verify_all=verify) for source in sources]
    if json:
        print_json([_pulled_to_json(each) for each in pulled])
    else:
        _show_pulled(pulled)


def models(json: Json = False) -> None:
    """List the models in the hub's cache: what uses them, how large they are, whether they are complete."""
    import time

    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.weights import hub_cache, list_models

    found = list_models(Paths.from_environment())
    if json:
        render.print_json([_model_to_json(each) for each in found])
        return
    if not found:
        render.note(f"No model is in {hub_cache().directory}; `sgcx pull MODEL` fetches one")
        return
    rows = [
        (
            each.model.repository,
            ", ".join(each.profiles),
            (each.model.revision or "")[:12],
            gib(each.model.size_bytes),
            _state(each),
            time.strftime("%Y-%m-%d", time.localtime(each.model.last_used_at)),
        )
        for each in found
    ]
    render.print_table(("Model", "Profile", "Revision", "Size", "State", "Used"), rows)


def remove(
    model: Annotated[str, typer.Argument(help="A repository, or a profile.", autocompletion=complete_model)],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete a model's weights from the hub's cache, pieces of interrupted downloads included."""
    from sgcx.cli import render
    from sgcx.cli.prompts import confirm
    from sgcx.paths import Paths
    from sgcx.workflows.weights import models_to_remove, remove_models

    doomed = models_to_remove(model, Paths.from_environment())
    if not json:
        for each in doomed:
            render.note(f"{each.model.repository}  {gib(each.model.size_bytes)}  {each.model.folder}")
    if not confirm("Delete it?" if len(doomed) == 1 else "Delete them?", yes=yes):
        raise typer.Exit(1)
    freed_bytes = remove_models(doomed)
    if json:
        render.print_json({"removed": [each.model.repository for each in doomed], "freed_bytes": freed_bytes})
    else:
        render.note(f"{gib(freed_bytes)} are free again")


def _show_pulled(pulled: list[Pulled]) -> None:
    from sgcx.cli import render

    for each in pulled:
        fetched = f"{gib(each.fetched_bytes)} fetched" if each.fetched_bytes else "all of it was there"
        render.print_pairs(
            [
                ("Model", f"{each.source.repository} at {each.commit[:12]}"),
                ("Size", f"{gib(each.total_bytes)}, {fetched}"),
                ("Folder", str(each.folder)),
            ]
        )


def _pulled_to_json(pulled: Pulled) -> dict[str, object]:
    return {
        "repository": pulled.source.repository,
        "revision": pulled.commit,
        "folder": str(pulled.folder),
        "total_bytes": pulled.total_bytes,
        "fetched_bytes": pulled.fetched_bytes,
    }


def _model_to_json(at_hand: ModelAtHand) -> dict[str, object]:
    model = at_hand.model
    return {
        "repository": model.repository,
        "profiles": list(at_hand.profiles),
        "servers": list(at_hand.servers),
        "revision": model.revision,
        "size_bytes": model.size_bytes,
        "partial_bytes": model.partial_bytes,
        "complete": model.complete,
        "last_used_at": model.last_used_at,
        "folder": str(model.folder),
    }


def _state(at_hand: ModelAtHand) -> str:
    if at_hand.servers:
        return f"serves {', '.join(at_hand.servers)}"
    return "complete" if at_hand.model.complete else "incomplete"
