"""What a model needs of each GPU, in bytes, and how much is left for its key-value cache.

The rules are SGLang's own. At start it measures the memory that is free after the CUDA context and NCCL exist (`F`),
loads the weights, and sizes the cache so that weights + cache = mem_fraction_static · F. Whatever the fraction leaves
over must hold activations, CUDA graphs, the image encoder's working memory, and a draft model with its own cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.byte_sizes import GIB, MIB
from sgcx.planning.architecture import GqaAttention, MlaAttention
from sgcx.planning.profile import HubCheckpoint, KvCacheDtype
from sgcx.planning.weights import Parallelism, checkpoint_bytes
from sgcx.planning.weights import weights_per_gpu as computed_weights_per_gpu

RESERVE_BYTES = 1 * GIB
"""Left free on each GPU: estimates are estimates."""

_CUDA_CONTEXT_BYTES = 7 * GIB // 10
_NCCL_BYTES = 12 * GIB // 10
_BYTES_PER_PREFILL_TOKEN = 3 * MIB // 2
_BYTES_PER_GRAPH_REQUEST = 2 * MIB
_BYTES_PER_DP_GRAPH_REQUEST = 3 * MIB
_PIECEWISE_GRAPH_BYTES_MLA = 2304 * MIB
_PIECEWISE_GRAPH_BYTES_GQA = 400 * MIB
_SMALLEST_STEP = 2048

_FRACTION_STEP = 5
_FRACTION_LIMIT = 940
"""In thousandths: above .94 the allocator's fragments alone can run a GPU out of memory."""


@dataclass(frozen=True, slots=True)
class DraftMemory:
    """What speculative decoding adds on each GPU."""

    weights_bytes: int
    cache_layers: int
    graph_bytes: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """What earlier starts taught about this model, on this kind of GPU, with this SGLang."""

    weights_factor: float = 1.0
    """Weights that SGLang reported, over those predicted."""
    unexplained_bytes: int = 0
    """Memory that was missing from the cache, on each GPU; negative when there was more than predicted."""


UNCALIBRATED = Calibration()


@dataclass(frozen=True, slots=True)
class Settings:
    """The knobs that trade memory for speed, and what calibrates them."""

    parallelism: Parallelism
    chunked_prefill_size: int
    cuda_graph_max_bs: int
    kv_cache_dtype: KvCacheDtype
    draft: DraftMemory | None = None
    calibration: Calibration = UNCALIBRATED


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """One GPU's memory, in bytes; the parts add up to `total_bytes`, never more than `free_bytes`."""

    weights_bytes: int
    kv_cache_bytes: int
    draft_bytes: int
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
            + self.draft_bytes
            + self.runtime_bytes
            + self.overhead_bytes
            + self.multimodal_bytes
            + self.reserve_bytes
        )


@dataclass(frozen=True, slots=True)
class Fit:
    mem_fraction_static: float
    max_total_num_tokens: int
    """On each data-parallel rank; zero when the weights alone are too large."""
    estimate: MemoryEstimate


def fit(checkpoint: HubCheckpoint, settings: Settings, free_bytes: int) -> Fit:
    """Gives the cache everything that nothing else needs."""
    weights = weights_per_gpu(checkpoint, settings)
    overhead = overhead_bytes(settings)
    runtime = runtime_bytes(checkpoint, settings)
    base = max(1, free_bytes - overhead)
    multimodal = base - int(base * _image_factor(checkpoint))
    draft_share = _draft_share(checkpoint, settings)
    others = multimodal + runtime + RESERVE_BYTES + _draft_fixed_bytes(settings)
    static = weights + int((base - others - weights) / (1 + draft_share))
    thousandths = max(0, min(_FRACTION_LIMIT, static * 1000 // base // _FRACTION_STEP * _FRACTION_STEP))
    kv_cache = max(0, base * thousandths // 1000 - weights)
    return Fit(
        mem_fraction_static=thousandths / 1000,
        max_total_num_tokens=kv_cache // kv_bytes_per_token(checkpoint, settings),
        estimate=MemoryEstimate(
            weights_bytes=weights,
            kv_cache_bytes=kv_cache,
            draft_bytes=_draft_fixed_bytes(settings) + int(kv_cache * draft_share),
            runtime_bytes=runtime,
            overhead_bytes=overhead,
            multimodal_bytes=multimodal,
            reserve_bytes=RESERVE_BYTES,
            free_bytes=free_bytes,
        ),
    )


def needed_bytes(checkpoint: HubCheckpoint, settings: Settings, tokens: int) -> int:
    """Free memory per GPU from which `fit` surely holds `tokens`: the inverse of `fit`, rounded up."""
    cache = tokens * kv_bytes_per_token(checkpoint, settings)
    static = weights_per_gpu(checkpoint, settings) + cache
    draft = _draft_fixed_bytes(settings) + int(cache * _draft_share(checkpoint, settings))
    with_activations = static + draft + runtime_bytes(checkpoint, settings) + RESERVE_BYTES
    usable = _image_factor(checkpoint) - _FRACTION_STEP / 1000 * (1 + _draft_share(checkpoint, settings))
    base = max(with_activations / usable, static * 1000 / (_FRACTION_LIMIT - _FRACTION_STEP))
    return int(base) + overhead_bytes(settings) + MIB


def weights_per_gpu(checkpoint: HubCheckpoint, settings: Settings) -> int:
    """The shapes say how weights are divided; the checkpoint's stated size and earlier starts correct their sum."""
    computed = computed_weights_per_gpu(checkpoint.architecture, checkpoint.quantization, settings.parallelism)
    expected = checkpoint_bytes(checkpoint.architecture, checkpoint.quantization)
    return int(computed * checkpoint.weights_bytes / expected * settings.calibration.weights_factor)


def kv_bytes_per_token(checkpoint: HubCheckpoint, settings: Settings) -> int:
    """On each GPU: one pipeline stage holds the cache of its own layers."""
    element_bytes = 1 if settings.kv_cache_dtype == "fp8_e4m3" else 2
    layers = -(-checkpoint.architecture.layers // settings.parallelism.pp_size)
    return _kv_values_per_layer(checkpoint, settings) * layers * element_bytes


def runtime_bytes(checkpoint: HubCheckpoint, settings: Settings) -> int:
    """Activations of the largest prefill step, and the captured CUDA graphs."""
    step = max(settings.chunked_prefill_size, _SMALLEST_STEP) * _BYTES_PER_PREFILL_TOKEN
    graphs = settings.cuda_graph_max_bs * _BYTES_PER_GRAPH_REQUEST
    if settings.parallelism.dp_size > 1:
        graphs += settings.cuda_graph_max_bs * _BYTES_PER_DP_GRAPH_REQUEST * settings.parallelism.dp_size
    return step + graphs + _piecewise_graph_bytes(checkpoint, settings)


def overhead_bytes(settings: Settings) -> int:
    """CUDA's and NCCL's own, and what earlier starts could not explain."""
    nccl = _NCCL_BYTES if settings.parallelism.gpu_count > 1 else 0
    return max(0, _CUDA_CONTEXT_BYTES + nccl + settings.calibration.unexplained_bytes)


def _kv_values_per_layer(checkpoint: HubCheckpoint, settings: Settings) -> int:
    match checkpoint.architecture.attention:
        case MlaAttention(kv_lora_rank=kv_lora_rank, qk_rope_head_dim=qk_rope_head_dim):
            return kv_lora_rank + qk_rope_head_dim
        case GqaAttention(kv_heads, head_dim):
            return 2 * max(1, kv_heads // settings.parallelism.attention_tp_size) * head_dim


def _draft_share(checkpoint: HubCheckpoint, settings: Settings) -> float:
    """The draft model caches the same tokens, in layers of its own."""
    return 0.0 if settings.draft is None else settings.draft.cache_layers / checkpoint.architecture.layers


def _draft_fixed_bytes(settings: Settings) -> int:
    return 0 if settings.draft is None else settings.draft.weights_bytes + settings.draft.graph_bytes


def _image_factor(checkpoint: HubCheckpoint) -> float:
    encoder = checkpoint.architecture.image_encoder
    return 1.0 if encoder is None else encoder.memory_factor


def _piecewise_graph_bytes(checkpoint: HubCheckpoint, settings: Settings) -> int:
    """SGLang captures the prefill in pieces too, unless images, drafts, stages or dp-attention are in its way."""
    parallelism = settings.parallelism
    if checkpoint.architecture.image_encoder is not None or settings.draft is not None:
        return 0
    if parallelism.pp_size > 1 or parallelism.dp_size > 1:
        return 0
    match checkpoint.architecture.attention:
        case MlaAttention():
            return _PIECEWISE_GRAPH_BYTES_MLA
        case GqaAttention():
            return _PIECEWISE_GRAPH_BYTES_GQA
