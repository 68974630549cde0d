"""What a model needs of each GPU, in bytes, and how much is left for its key-value cache.

The rules are SGLang 0.5.10.post1's own. At start it measures the memory that is free after the CUDA context and NCCL
exist (`F`), loads the weights, and sizes the cache so that weights + cache = mem_fraction_static · F. Whatever the
fraction leaves over must hold activations, CUDA graphs and the image encoder's working memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.planning.profile import GqaAttention, HubCheckpoint, KvCacheDtype, MlaAttention

MIB = 1 << 20
GIB = 1 << 30

RESERVE_BYTES = 1 * GIB
"""Left free on each GPU: estimates are estimates."""

_CUDA_CONTEXT_BYTES = 7 * GIB // 10
_NCCL_BYTES = 12 * GIB // 10
_BYTES_PER_PREFILL_TOKEN = 3 * MIB // 2
_BYTES_PER_GRAPH_REQUEST = 2 * MIB
_PIECEWISE_GRAPH_BYTES_MLA = 1536 * MIB
_PIECEWISE_GRAPH_BYTES_GQA = 400 * MIB

_FRACTION_STEP = 5
_FRACTION_LIMIT = 940
"""In thousandths: above .94 the allocator's fragments alone can run a GPU out of memory."""


def gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB"


@dataclass(frozen=True, slots=True)
class Settings:
    """The knobs that trade memory for speed."""

    tp_size: int
    chunked_prefill_size: int
    cuda_graph_max_bs: int
    kv_cache_dtype: KvCacheDtype


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """One GPU's memory, in bytes; the parts add up to `total_bytes`, never more than `free_bytes`."""

    weights_bytes: int
    kv_cache_bytes: int
    runtime_bytes: int
    overhead_bytes: int
    multimodal_bytes: int
    reserve_bytes: int
    free_bytes: int
    """What other processes and the driver leave on the fullest of the chosen GPUs."""

    @property
    def total_bytes(self) -> int:
        return (
            self.weights_bytes
            + self.kv_cache_bytes
            + self.runtime_bytes
            + self.overhead_bytes
            + self.multimodal_bytes
            + self.reserve_bytes
        )


@dataclass(frozen=True, slots=True)
class Fit:
    mem_fraction_static: float
    max_total_num_tokens: int
    """Zero when the weights alone are too large."""
    estimate: MemoryEstimate


def fit(checkpoint: HubCheckpoint, settings: Settings, free_bytes: int) -> Fit:
    """Gives the cache everything that nothing else needs."""
    weights = weights_per_gpu(checkpoint, settings.tp_size)
    overhead = overhead_bytes(settings.tp_size)
    runtime = runtime_bytes(checkpoint, settings)
    base = max(1, free_bytes - overhead)
    multimodal = base - int(base * checkpoint.multimodal_memory_factor)
    static = max(0, base - multimodal - runtime - RESERVE_BYTES)
    thousandths = min(_FRACTION_LIMIT, static * 1000 // base // _FRACTION_STEP * _FRACTION_STEP)
    kv_cache = max(0, base * thousandths // 1000 - weights)
    return Fit(
        mem_fraction_static=thousandths / 1000,
        max_total_num_tokens=kv_cache // kv_bytes_per_token(checkpoint, settings),
        estimate=MemoryEstimate(
            weights_bytes=weights,
            kv_cache_bytes=kv_cache,
            runtime_bytes=runtime,
            overhead_bytes=overhead,
            multimodal_bytes=multimodal,
            reserve_bytes=RESERVE_BYTES,
            free_bytes=free_bytes,
        ),
    )


def needed_bytes(checkpoint: HubCheckpoint, settings: Settings, tokens: int) -> int:
    """Free memory per GPU from which `fit` surely holds `tokens`: the inverse of `fit`, rounded up."""
    static = weights_per_gpu(checkpoint, settings.tp_size) + tokens * kv_bytes_per_token(checkpoint, settings)
    with_activations = static + runtime_bytes(checkpoint, settings) + RESERVE_BYTES
    usable = checkpoint.multimodal_memory_factor - _FRACTION_STEP / 1000
    base = max(with_activations / usable, static * 1000 / _FRACTION_LIMIT)
    return int(base) + overhead_bytes(settings.tp_size) + MIB


def weights_per_gpu(checkpoint: HubCheckpoint, tp_size: int) -> int:
    divided = checkpoint.weights_bytes - checkpoint.replicated_bytes
    return -(-divided // tp_size) + checkpoint.replicated_bytes


def kv_bytes_per_token(checkpoint: HubCheckpoint, settings: Settings) -> int:
    element_bytes = 1 if settings.kv_cache_dtype == "fp8_e4m3" else 2
    match checkpoint.attention:
        case MlaAttention(kv_lora_rank, qk_rope_head_dim):
            values = kv_lora_rank + qk_rope_head_dim
        case GqaAttention(kv_heads, head_dim):
            values = 2 * max(1, kv_heads // settings.tp_size) * head_dim
    return values * checkpoint.layers * element_bytes


def runtime_bytes(checkpoint: HubCheckpoint, settings: Settings) -> int:
    """Activations of the largest prefill step, and the captured CUDA graphs."""
    step = max(settings.chunked_prefill_size, 2048) * _BYTES_PER_PREFILL_TOKEN
    graphs = settings.cuda_graph_max_bs * _BYTES_PER_GRAPH_REQUEST
    return step + graphs + _piecewise_graph_bytes(checkpoint)


def overhead_bytes(tp_size: int) -> int:
    return _CUDA_CONTEXT_BYTES + (_NCCL_BYTES if tp_size > 1 else 0)


def allowed_tp_sizes(checkpoint: HubCheckpoint, gpu_count: int) -> tuple[int, ...]:
    """Ascending powers of two that divide the heads evenly; other counts leave GPUs idle."""
    limit = min(gpu_count, checkpoint.maximum_tp_size)
    powers = (1 << exponent for exponent in range(limit.bit_length()))
    return tuple(size for size in powers if size <= limit and _divides(checkpoint, size))


def _divides(checkpoint: HubCheckpoint, tp_size: int) -> bool:
    match checkpoint.attention:
        case GqaAttention(kv_heads=kv_heads):
            shareable = kv_heads % tp_size == 0 or tp_size % kv_heads == 0
        case MlaAttention():
            shareable = True
    return shareable and checkpoint.attention_heads % tp_size == 0


def _piecewise_graph_bytes(checkpoint: HubCheckpoint) -> int:
    """SGLang captures the prefill in pieces too, except for models that see images."""
    if checkpoint.multimodal_memory_factor < 1.0:
        return 0
    match checkpoint.attention:
        case MlaAttention():
            return _PIECEWISE_GRAPH_BYTES_MLA
        case GqaAttention():
            return _PIECEWISE_GRAPH_BYTES_GQA
