"""The variants of a model side by side: what each would give on one machine."""

from __future__ import annotations

from sgcx.byte_sizes import gib
from sgcx.cli import render
from sgcx.planning.plan import LaunchPlan, Refusal
from sgcx.workflows.planning import PlannedVariant

_COLUMNS = ("Variant", "GPUs", "Weights", "Cache", "Context", "Decode", "Format")


def show_comparison(planned: tuple[PlannedVariant, ...]) -> None:
    render.print_table(_COLUMNS, [_row(each) for each in planned])
    render.folding().print(
        "\nWeights and cache are those of each GPU, the cache in thousands of tokens; "
        "decode is an estimate, in tokens/s for one stream"
    )
    for each in planned:
        if isinstance(each.outcome, Refusal):
            render.note(f"{each.checkpoint.variant}: {each.outcome.reason}")


def _row(planned: PlannedVariant) -> tuple[str, ...]:
    checkpoint, outcome = planned.checkpoint, planned.outcome
    if not isinstance(outcome, LaunchPlan):
        missing = f"{gib(outcome.missing_bytes)} missing" if outcome.missing_bytes else "cannot run here"
        return checkpoint.variant, "-", missing, "-", "-", "-", checkpoint.title
    assert outcome.memory is not None, "a variant is for GPUs"
    speed = outcome.speed
    decode = "?" if speed is None else "–".join(f"{value:.0f}" for value in speed.decode_tokens_per_s)
    return (
        checkpoint.variant,
        str(outcome.parallelism.gpu_count),
        gib(outcome.memory.weights_bytes),
        f"{outcome.max_total_num_tokens // 1000:,}k",
        f"{outcome.context_length:,}",
        decode,
        checkpoint.title,
    )
