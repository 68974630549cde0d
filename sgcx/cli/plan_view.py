"""A launch plan on screen: each setting with its reason."""

from __future__ import annotations

import shlex

from sgcx.cli import render
from sgcx.planning.plan import LaunchPlan
from sgcx.workflows.up import LaunchCommand


def show_plan(plan: LaunchPlan, *, quiet: bool) -> None:
    """On stderr's side of things: it is shown before a question, not as the result."""
    for warning in plan.warnings:
        render.warn(warning)
    if not quiet:
        _print_plan(plan)


def show_dry_run(plan: LaunchPlan, command: LaunchCommand, *, as_json: bool) -> None:
    if as_json:
        document = {"plan": plan.to_json(), "argv": list(command.argv), "environment": command.environment}
        render.print_json(document)
        return
    show_plan(plan, quiet=False)
    console = render.stdout()
    console.print("\n[bold]SGLang's arguments[/bold]")
    console.print(shlex.join(command.argv), markup=False)
    console.print("\n[bold]Environment[/bold]")
    for name, value in sorted(command.environment.items()):
        console.print(f"{name}={shlex.quote(value)}", markup=False)


def _print_plan(plan: LaunchPlan) -> None:
    where = f"GPUs {', '.join(map(str, plan.gpu_indices))}" if plan.gpu_indices else "the CPU"
    render.stdout().print(f"[bold]{plan.profile.title}[/bold] on {where}, SGLang {plan.sglang_version}")
    if plan.memory is not None:
        render.print_table(("Memory per GPU", ""), _memory_rows(plan))
    rows = [(decision.name, _value(decision.value), decision.because) for decision in plan.decisions]
    render.print_table(("Setting", "Value", "Because"), rows)


def _memory_rows(plan: LaunchPlan) -> list[tuple[str, str]]:
    document = plan.to_json()["memory_per_gpu"]
    assert isinstance(document, dict)
    return [(name.removesuffix("_bytes").replace("_", " "), render.gib(count)) for name, count in document.items()]


def _value(value: object) -> str:
    return "on" if value is True else str(value)
