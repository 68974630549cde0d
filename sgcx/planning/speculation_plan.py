"""Speculative decoding as decisions with reasons, or the reason why there is none."""

from __future__ import annotations

from sgcx.planning.layout import Demand, Layout
from sgcx.planning.plan import Decision, Declined
from sgcx.planning.profile import HubCheckpoint
from sgcx.planning.speculation import DRAFT_TOKENS, STEPS, TOP_K, can_load, speculation_for

_BY_VARIABLE = ("0.5.10.post1", "0.5.11")
"""Releases whose overlapping scheduler guesses ahead only when a variable asks for it."""


def speculation_decisions(checkpoint: HubCheckpoint, layout: Layout, demand: Demand) -> list[Decision]:
    speculation = speculation_for(checkpoint, layout.settings.parallelism, demand.sglang_version)
    if layout.settings.draft is None or speculation is None:
        return []
    who = "the model's own prediction layer" if speculation.repository is None else speculation.repository
    decisions = [
        Decision(
            "speculative_algorithm", speculation.algorithm, f"{who} guesses ahead, and each step checks its guesses"
        ),
        Decision("speculative_num_steps", STEPS, "further guesses are seldom right"),
        Decision("speculative_eagle_topk", TOP_K, "one guess for each place: the scheduler overlaps only then"),
        Decision("speculative_num_draft_tokens", DRAFT_TOKENS, "the guesses and the token that follows them"),
    ]
    if speculation.repository is not None:
        decisions.append(Decision("speculative_draft_model_path", speculation.repository, "the model that guesses"))
    if speculation.revision is not None:
        decisions.append(Decision("speculative_draft_model_revision", speculation.revision, "it stays what it was"))
    return decisions


def speculation_environment(layout: Layout, demand: Demand) -> list[Decision]:
    if layout.settings.draft is None or demand.sglang_version not in _BY_VARIABLE:
        return []
    return [Decision("SGLANG_ENABLE_SPEC_V2", "1", "guessing ahead overlaps with scheduling")]


def declined_speculation(checkpoint: HubCheckpoint, layout: Layout, demand: Demand) -> list[Declined]:
    if layout.settings.draft is not None:
        return []
    name = "speculative decoding"
    draft = checkpoint.draft
    if draft is not None and not checkpoint.has_prediction_layers and not can_load(draft, demand.sglang_version):
        return [Declined(name, f"{draft.repository} needs SGLang {draft.minimum_sglang} or later")]
    if speculation_for(checkpoint, layout.settings.parallelism, demand.sglang_version) is None:
        possible = checkpoint.has_prediction_layers or checkpoint.draft is not None
        because = "it does not work with this division" if possible else "no model that guesses ahead is known for it"
        return [Declined(name, because)]
    if demand.speculates:
        return [Declined(name, "it does not fit beside a cache of full length")]
    return [Declined(name, "faster for few streams, slower for many: --prefer latency has it")]
