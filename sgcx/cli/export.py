"""`sgcx export`: a plan as files for the user's own supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.cli.options import Json, NewServerName, ProfileToServe
from sgcx.cli.plan_options import (
    Concurrency,
    Context,
    DistInitAddr,
    Gpus,
    Hardware,
    HostCache,
    Nodes,
    Prefer,
    Variant,
    read_wishes,
)

if TYPE_CHECKING:
    from sgcx.planning.plan import LaunchPlan
    from sgcx.workflows.export import Exported, Format


def register(app: typer.Typer) -> None:
    app.command("export")(export)


def export(
    format: Annotated[str, typer.Argument(metavar="systemd|compose|k8s", help="For which supervisor.")],
    model: ProfileToServe,
    name: NewServerName = None,
    context: Context = None,
    concurrency: Concurrency = None,
    gpus: Gpus = None,
    variant: Variant = None,
    prefer: Prefer = None,
    host_cache: HostCache = None,
    nodes: Nodes = 1,
    dist_init_addr: DistInitAddr = None,
    hardware: Hardware = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the endpoint.")] = 30000,
    replicas: Annotated[int, typer.Option(min=1, help="With k8s: engines behind SGLang's router.")] = 1,
    image: Annotated[str | None, typer.Option(help="The gateway's image, made from the Dockerfile.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write files into this folder.")] = None,
    json: Json = False,
) -> None:
    """Write what a supervisor of yours needs to run a plan: units, a Compose file, manifests."""
    from sgcx.paths import Paths
    from sgcx.workflows.export import export as make
    from sgcx.workflows.export_plan import ExportOptions
    from sgcx.workflows.planning import make_plan, require_plan

    wishes = read_wishes(
        context=context,
        concurrency=concurrency,
        gpus=gpus,
        variant=variant,
        prefer=prefer,
        host_cache=host_cache,
        nodes=nodes,
        dist_init_addr=dist_init_addr,
    )
    paths = Paths.from_environment()
    plan = require_plan(make_plan(model, wishes, paths=paths, hardware_file=hardware).outcome)
    options = ExportOptions(
        name=name or model,
        port=port,
        pinned=_pinned(plan, {"--prefer": prefer, "--concurrency": concurrency, "--host-cache": host_cache}),
        replicas=replicas,
        **({} if image is None else {"image": image}),
    )
    _show(make(_format(format), plan, options, paths, directory=output), as_json=json)


def _pinned(plan: LaunchPlan, wishes: dict[str, object]) -> tuple[str, ...]:
    """A start months later must choose what was chosen now."""
    from sgcx.planning.profile import HubCheckpoint

    checkpoint = plan.profile.checkpoint
    chosen: dict[str, object] = {
        "--variant": checkpoint.variant if isinstance(checkpoint, HubCheckpoint) else None,
        "--gpus": ",".join(map(str, plan.gpu_indices)) or None,
        "--context": plan.context_length,
        **wishes,
    }
    return tuple(part for option, value in chosen.items() if value is not None for part in (option, str(value)))


def _format(text: str) -> Format:
    from sgcx.errors import UserError

    match text:
        case "systemd" | "compose" | "k8s":
            return text
        case _:
            raise UserError(f"{text!r} is no format to export to", hint="Choose systemd, compose or k8s")


def _show(exported: Exported, *, as_json: bool) -> None:
    import sys

    from sgcx.cli import render

    if as_json:
        render.print_json([{"name": file.name, "text": file.text} for file in exported.files])
    elif exported.directory is not None:
        for file in exported.files:
            render.note(f"wrote {exported.directory / file.name}")
    else:
        for file in exported.files:
            sys.stdout.write(f"# --- {file.name}\n{file.text}")
