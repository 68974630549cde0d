"""`sgcx plan`: how a model would be served, on this machine or another; nothing is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.cli.options import Json, ProfileToServe
from sgcx.cli.plan_options import (
    Concurrency,
    Context,
    DataParallel,
    DistInitAddr,
    Gpus,
    Hardware,
    HostCache,
    Nodes,
    Prefer,
    Sglang,
    Variant,
    read_wishes,
)

if TYPE_CHECKING:
    from sgcx.paths import Paths
    from sgcx.planning.plan import LaunchPlan, Refusal
    from sgcx.workflows.planning import PlannedVariant

_EXIT_REFUSED = 2


def register(app: typer.Typer) -> None:
    app.command("plan")(plan)


def plan(
    model: ProfileToServe,
    hardware: Hardware = None,
    context: Context = None,
    concurrency: Concurrency = None,
    gpus: Gpus = None,
    variant: Variant = None,
    prefer: Prefer = None,
    host_cache: HostCache = None,
    nodes: Nodes = 1,
    dist_init_addr: DistInitAddr = None,
    dp: DataParallel = 1,
    sglang: Sglang = None,
    compare: Annotated[bool, typer.Option("--compare", help="All variants side by side.")] = False,
    json: Json = False,
) -> None:
    """Show how a model would be served: GPUs, memory, speed, and the reason of each setting."""
    from sgcx.paths import Paths
    from sgcx.workflows.planning import compare_variants, make_plan

    wishes = read_wishes(
        context=context,
        concurrency=concurrency,
        gpus=gpus,
        variant=variant,
        prefer=prefer,
        host_cache=host_cache,
        nodes=nodes,
        dist_init_addr=dist_init_addr,
        dp=dp,
        sglang=sglang,
    )
    paths = Paths.from_environment()
    if compare:
        _show_comparison(compare_variants(model, wishes, paths=paths, hardware_file=hardware), json)
    else:
        _show(make_plan(model, wishes, paths=paths, hardware_file=hardware).outcome, paths, json)


def _show(outcome: LaunchPlan | Refusal, paths: Paths, as_json: bool) -> None:
    from sgcx.cli import plan_view, render
    from sgcx.planning.plan import Refusal
    from sgcx.workflows.planning import node_commands, require_plan

    if as_json:
        render.print_json(outcome.to_json())
        if isinstance(outcome, Refusal):
            raise typer.Exit(_EXIT_REFUSED)
    else:
        plan = require_plan(outcome)
        plan_view.show_plan(plan, quiet=False)
        plan_view.show_node_commands(node_commands(plan, paths))


def _show_comparison(planned: tuple[PlannedVariant, ...], as_json: bool) -> None:
    from sgcx.cli import plan_compare_view, render

    if as_json:
        render.print_json([{"variant": each.checkpoint.variant, **each.outcome.to_json()} for each in planned])
    else:
        plan_compare_view.show_comparison(planned)
