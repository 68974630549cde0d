"""A launch plan on screen: memory, what fits and how fast, each setting with its reason."""

from __future__ import annotations

import shlex

from rich.markup import escape

from sgcx.byte_sizes import gib
from sgcx.cli import render
from sgcx.cli.memory_bar import memory_bar, memory_legend
from sgcx.planning.memory import MemoryEstimate
from sgcx.planning.plan import LaunchPlan
from sgcx.planning.profile import HubCheckpoint
from sgcx.planning.speed import SpeedEstimate
from sgcx.workflows.launch_command import LaunchCommand

_WIDEST_BAR = 100
_SHORTER_SESSIONS = (131_072, 65_536, 32_768)


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


def show_node_commands(commands: tuple[LaunchCommand, ...]) -> None:
    """Of a plan for several machines: what to run on each."""
    console = render.stdout()
    for rank, command in enumerate(commands):
        console.print(f"\n[bold]On node {rank}[/bold]")
        variables = [f"{name}={value}" for name, value in sorted(command.environment.items())]
        program = ("env", *variables, "python", "-m", "sglang.launch_server", *command.argv)
        console.print(shlex.join(program), markup=False)
    if commands:
        console.print(
            "\nThey start SGLang alone: `sgcx gateway --upstream URL` is the endpoint for Codex in front of it"
        )


def cache_sentence(plan: LaunchPlan) -> str:
    lengths = [length for length in _SHORTER_SESSIONS if length < plan.context_length]
    sessions = [f"{plan.full_sessions} of {plan.context_length:,}"]
    sessions += [f"{plan.cache_tokens // length} of {length:,}" for length in lengths]
    return f"about {plan.cache_tokens:,} tokens: sessions, {' or '.join(sessions)}"


def _print_plan(plan: LaunchPlan) -> None:
    console = render.stdout()
    render.folding().print(_headline(plan))
    if plan.memory is not None:
        _print_memory(plan.memory)
    facts = _facts(plan)
    if facts:
        console.print()
        render.print_table(("What fits", ""), facts)
    console.print()
    rows = [(each.name, _value(each.value), each.because) for each in plan.decisions]
    render.print_table(("Setting", "Value", "Because"), rows)
    _print_left_out(plan)


def _headline(plan: LaunchPlan) -> str:
    checkpoint = plan.profile.checkpoint
    variant = f" · {checkpoint.title} ({checkpoint.repository})" if isinstance(checkpoint, HubCheckpoint) else ""
    where = "the CPU"
    if plan.gpu_indices:
        indices = ", ".join(map(str, plan.gpu_indices))
        plural = "s" if len(plan.gpu_indices) > 1 else ""
        where = f"{len(plan.gpu_indices)} × {plan.gpu_name} (GPU{plural} {indices})"
    nodes = f" on each of {plan.node_count} nodes" if plan.node_count > 1 else ""
    title = f"[bold]{escape(plan.profile.title)}[/bold]{escape(variant)}"
    return f"{title}\non {escape(where)}{nodes}, SGLang {plan.sglang_version}"


def _print_memory(memory: MemoryEstimate) -> None:
    console = render.stdout()
    width = min(console.width, _WIDEST_BAR)
    console.print(f"\n[bold]Memory of each GPU[/bold], {gib(memory.free_bytes)} free")
    console.print(memory_bar(memory, width), markup=False)
    line = ""
    for entry in memory_legend(memory):
        if line and len(line) + 3 + len(entry) > width:
            console.print(line, markup=False)
            line = ""
        line = f"{line}   {entry}" if line else entry
    console.print(line, markup=False)


def _facts(plan: LaunchPlan) -> list[tuple[str, str]]:
    facts = [("Cache", cache_sentence(plan))]
    if plan.host_cache_tokens:
        facts.append(("Host cache", f"{plan.host_cache_tokens:,} tokens of older sessions"))
    if plan.speed is not None:
        facts += _speed(plan.speed)
    for each in plan.measurements:
        facts.append(
            (
                "Measured",
                f"{each.tokens_per_s:g} tokens/s, {each.streams} at a time, prompts of {each.prompt_tokens:,}; "
                f"by {each.by} with SGLang {each.sglang}",
            )
        )
    return facts


def _speed(speed: SpeedEstimate) -> list[tuple[str, str]]:
    source = "from a bench here" if speed.is_measured else "estimate"
    alone, together = _range(speed.decode_tokens_per_s), _range(speed.decode_tokens_per_s_full)
    prefill, seconds = _range(speed.prefill_tokens_per_s), _range(speed.time_to_first_token_s)
    return [
        ("Decode", f"{alone} tokens/s alone, {together} with {speed.streams} streams ({source})"),
        ("Prefill", f"{prefill} tokens/s; {speed.prompt_tokens:,} new tokens take {seconds} s ({source})"),
    ]


def _print_left_out(plan: LaunchPlan) -> None:
    variables = [(each.name, str(each.value), each.because) for each in plan.environment]
    if variables:
        render.stdout().print()
        render.print_table(("Environment", "Value", "Because"), variables)
    if plan.declined:
        render.stdout().print()
        rows = [(each.name, each.because) for each in plan.declined]
        render.print_table(("Not chosen", "Because"), rows)
    if plan.excluded_gpus:
        render.stdout().print()
        rows = [(f"GPU {each.index}", f"{each.name}: {each.because}") for each in plan.excluded_gpus]
        render.print_table(("Not used", "Because"), rows)


def _range(pair: tuple[float, float]) -> str:
    low, high = (_rounded(value) for value in pair)
    return low if low == high else f"{low}–{high}"


def _rounded(value: float) -> str:
    """Two digits that count: an estimate has no more."""
    if value < 10:
        return f"{value:.2g}"
    digits = len(str(int(value))) - 2
    return f"{round(value, -digits):,.0f}"


def _value(value: object) -> str:
    return "on" if value is True else str(value)
