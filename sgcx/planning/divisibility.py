"""Into how many GPUs a model divides: SGLang's own assertions, as far as they can be known before it starts."""

from __future__ import annotations

from sgcx.planning.architecture import GqaAttention
from sgcx.planning.profile import HubCheckpoint
from sgcx.planning.weights import Parallelism, Quantization

_BLOCK_COLUMNS: dict[Quantization, int] = {"fp8": 128, "int4": 128, "awq": 128, "w4afp8": 128, "nvfp4": 64}
"""Columns of an expert that one GPU must hold a multiple of: blocks of scales, or tiles of the INT4 kernels."""


def allowed_tp_sizes(checkpoint: HubCheckpoint, gpu_count: int) -> tuple[int, ...]:
    """Ascending powers of two; other counts leave GPUs idle, or make pipeline stages."""
    powers = (1 << exponent for exponent in range(gpu_count.bit_length()))
    return tuple(size for size in powers if size <= gpu_count and _divides(checkpoint, size))


def stage_splits(checkpoint: HubCheckpoint, gpu_count: int) -> tuple[Parallelism, ...]:
    """Ways to use more GPUs than tensor parallelism alone can, the fewest stages first."""
    layers = checkpoint.architecture.layers
    splits = [
        Parallelism(tp_size=tp_size, pp_size=pp_size)
        for pp_size in range(2, min(gpu_count, layers) + 1)
        for tp_size in reversed(allowed_tp_sizes(checkpoint, gpu_count // pp_size))
    ]
    return tuple(split for split in splits if split.gpu_count <= gpu_count)


def _divides(checkpoint: HubCheckpoint, tp_size: int) -> bool:
    architecture = checkpoint.architecture
    if tp_size == 1:
        return True
    if architecture.attention_heads % tp_size or not _heads_are_shareable(checkpoint, tp_size):
        return False
    encoder = architecture.image_encoder
    if encoder is not None and encoder.attention_heads % tp_size:
        return False
    columns = architecture.intermediate_size if architecture.experts is None else architecture.experts.intermediate_size
    block = _BLOCK_COLUMNS.get(checkpoint.quantization, 1) if architecture.experts is not None else 1
    return columns % (tp_size * block) == 0


def _heads_are_shareable(checkpoint: HubCheckpoint, tp_size: int) -> bool:
    match checkpoint.architecture.attention:
        case GqaAttention(kv_heads=kv_heads):
            return kv_heads % tp_size == 0 or tp_size % kv_heads == 0
        case _:
            return True
