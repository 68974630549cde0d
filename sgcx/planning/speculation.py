"""Speculative decoding: who guesses ahead for a model, and what that costs each GPU."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.byte_sizes import GIB
from sgcx.planning.driver import is_at_least
from sgcx.planning.memory import DraftMemory
from sgcx.planning.profile import Draft, HubCheckpoint
from sgcx.planning.weights import Parallelism, prediction_weights_per_gpu

_GRAPH_BYTES = GIB
"""The draft's own CUDA graphs and the wider ones of the model that checks it."""
STEPS = 3
TOP_K = 1
DRAFT_TOKENS = STEPS + 1


def can_load(draft: Draft, sglang_version: str) -> bool:
    return draft.minimum_sglang is None or is_at_least(sglang_version, draft.minimum_sglang)


@dataclass(frozen=True, slots=True)
class Speculation:
    algorithm: str
    repository: str | None
    """None: the model's own prediction layers."""
    revision: str | None
    memory: DraftMemory


def speculation_for(checkpoint: HubCheckpoint, parallelism: Parallelism, sglang_version: str) -> Speculation | None:
    """None where nobody can guess, and with pipeline stages, which SGLang does not combine with it."""
    if parallelism.pp_size > 1 or parallelism.dp_size > 1:
        return None
    architecture = checkpoint.architecture
    if checkpoint.has_prediction_layers:
        weights = prediction_weights_per_gpu(architecture, checkpoint.quantization, parallelism.tp_size)
        memory = DraftMemory(weights, architecture.prediction_layers, _GRAPH_BYTES)
        return Speculation("EAGLE", None, None, memory)
    draft = checkpoint.draft
    if draft is None or not can_load(draft, sglang_version):
        return None
    memory = DraftMemory(draft.weights_bytes // parallelism.tp_size, draft.layers, _GRAPH_BYTES)
    return Speculation(draft.algorithm, draft.repository, draft.revision, memory)
