"""How many bytes of weights each GPU holds, from a model's shapes and how its weights are stored.

SGLang divides attention heads, experts, embeddings and the output matrix among the tensor-parallel GPUs, copies the
projections that come before the heads and the router to each of them, and for latent attention keeps a second copy of
one projection in bfloat16, rearranged. With data-parallel attention each group of GPUs holds the whole attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sgcx.byte_sizes import MIB
from sgcx.planning.architecture import Architecture, GqaAttention, MlaAttention

Quantization = Literal["bf16", "fp8", "int8", "int4", "awq", "w4a16", "w4afp8", "nvfp4"]
QUANTIZATIONS: tuple[str, ...] = get_args(Quantization)


@dataclass(frozen=True, slots=True)
class Parallelism:
    """`tp_size` counts GPUs of one pipeline stage; with `dp_size` > 1 the attention is data-parallel among them."""

    tp_size: int = 1
    pp_size: int = 1
    dp_size: int = 1
    ep_size: int = 1

    @property
    def gpu_count(self) -> int:
        return self.tp_size * self.pp_size

    @property
    def attention_tp_size(self) -> int:
        return self.tp_size // self.dp_size


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes of one parameter with its share of the scales."""

    experts: float
    attention: float
    dense: float
    """Layers without experts, and shared experts."""


_BF16 = 2.0
_FP8 = 1 + 4 / 128**2
_W4A16 = 0.5 + 2 / 128
_ROUNDING_BYTES = 9 * MIB
"""By which the allocations of a layer with latent attention are rounded up: least on many GPUs, as measured on 8."""
_STORAGE: dict[Quantization, Storage] = {
    "bf16": Storage(_BF16, _BF16, _BF16),
    "fp8": Storage(_FP8, _FP8, _FP8),
    "int8": Storage(_FP8, _FP8, _FP8),
    "int4": Storage(experts=0.5 + 2 / 32, attention=_BF16, dense=_BF16),
    "awq": Storage(*(3 * (0.5 + 2 / 64 + 0.5 / 64,))),
    "w4a16": Storage(_W4A16, _W4A16, _W4A16),
    "w4afp8": Storage(experts=_W4A16, attention=_FP8, dense=_FP8),
    "nvfp4": Storage(experts=0.5 + 1 / 16, attention=_BF16, dense=0.5 + 1 / 16),
}


@dataclass(frozen=True, slots=True)
class Components:
    """Bytes of each part over all layers, before any division."""

    attention_divided: float
    attention_copied: float
    """Latent attention's projections before the heads: each GPU holds them."""
    attention_rearranged: float
    """What SGLang makes of latent attention's key-value projection at load, in no checkpoint."""
    routed_experts: float
    dense: float
    router: float
    embedding: float
    output: float
    image_encoder: float

    @property
    def checkpoint_bytes(self) -> int:
        """The size of the checkpoint, prediction layers left out."""
        loaded = self.attention_divided + self.attention_copied + self.routed_experts + self.dense + self.router
        return int(loaded + self.embedding + self.output + self.image_encoder)


def components(architecture: Architecture, quantization: Quantization) -> Components:
    storage = _STORAGE[quantization]
    divided, copied, rearranged = _attention_parameters(architecture)
    vocabulary = architecture.vocabulary_size * architecture.hidden_size * _BF16
    return Components(
        attention_divided=architecture.layers * divided * storage.attention,
        attention_copied=architecture.layers * copied * storage.attention,
        attention_rearranged=architecture.layers * rearranged * _BF16,
        routed_experts=architecture.expert_layers * _routed_parameters(architecture) * storage.experts,
        dense=_dense_parameters(architecture) * storage.dense,
        router=architecture.expert_layers * _router_parameters(architecture) * _BF16,
        embedding=vocabulary,
        output=0.0 if architecture.tied_embeddings else vocabulary,
        image_encoder=_image_encoder_parameters(architecture) * _BF16,
    )


def checkpoint_bytes(architecture: Architecture, quantization: Quantization) -> int:
    return components(architecture, quantization).checkpoint_bytes


def weights_per_gpu(architecture: Architecture, quantization: Quantization, parallelism: Parallelism) -> int:
    """On the GPU that holds most: with pipeline stages of unequal length, one of the longer ones."""
    parts = components(architecture, quantization)
    tp_size, attention_tp_size = parallelism.tp_size, parallelism.attention_tp_size
    attention = (parts.attention_divided + parts.attention_rearranged) / attention_tp_size + parts.attention_copied
    rounding = architecture.layers * _ROUNDING_BYTES if isinstance(architecture.attention, MlaAttention) else 0
    layers = attention + parts.router + (parts.routed_experts + parts.dense) / tp_size + rounding
    ends = (parts.embedding / attention_tp_size, parts.output / tp_size)
    image_encoder = parts.image_encoder / tp_size
    if parallelism.pp_size == 1:
        return int(layers + sum(ends) + image_encoder)
    longest_stage = -(-architecture.layers // parallelism.pp_size) / architecture.layers
    return int(layers * longest_stage + max(ends) + image_encoder)


def prediction_weights_per_gpu(architecture: Architecture, quantization: Quantization, tp_size: int) -> int:
    """The model's own prediction layers: each is a layer with experts and a projection of two states into one."""
    storage = _STORAGE[quantization]
    divided, copied, rearranged = _attention_parameters(architecture)
    shared = 0 if architecture.experts is None else architecture.experts.shared * _expert_parameters(architecture)
    one_layer = (
        (divided * storage.attention + rearranged * _BF16) / tp_size
        + copied * storage.attention
        + (_routed_parameters(architecture) * storage.experts + shared * storage.dense) / tp_size
        + (_router_parameters(architecture) + 2 * architecture.hidden_size**2) * _BF16
    )
    return int(architecture.prediction_layers * one_layer)


def bytes_read_per_token(architecture: Architecture, quantization: Quantization, streams: int) -> int:
    """Weights that one decoding step reads, all GPUs together: more streams meet more experts."""
    parts = components(architecture, quantization)
    experts = architecture.experts
    met = 0.0 if experts is None else 1 - (1 - experts.per_token / experts.routed) ** streams
    always = parts.attention_divided + parts.attention_copied + parts.dense + parts.router
    output = parts.output or parts.embedding
    return int(always + output + met * parts.routed_experts)


def active_parameters(architecture: Architecture) -> int:
    """Parameters that compute with each token of a prompt."""
    divided, copied, _ = _attention_parameters(architecture)
    experts = architecture.experts
    routed = 0 if experts is None else architecture.expert_layers * experts.per_token * _expert_parameters(architecture)
    return architecture.layers * (divided + copied) + routed + _dense_parameters(architecture)


def _attention_parameters(architecture: Architecture) -> tuple[int, int, int]:
    """Of one layer: divided among GPUs, copied to each, kept a second time."""
    hidden, heads = architecture.hidden_size, architecture.attention_heads
    match architecture.attention:
        case MlaAttention() as mla:
            query = mla.q_lora_rank * heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
            key_value = mla.kv_lora_rank * heads * (mla.qk_nope_head_dim + mla.v_head_dim)
            output = heads * mla.v_head_dim * hidden
            before_heads = hidden * (mla.q_lora_rank + mla.kv_lora_rank + mla.qk_rope_head_dim)
            return query + key_value + output, before_heads, key_value
        case GqaAttention(kv_heads, head_dim):
            return 2 * hidden * head_dim * (heads + kv_heads), 0, 0


def _expert_parameters(architecture: Architecture) -> int:
    return 0 if architecture.experts is None else 3 * architecture.hidden_size * architecture.experts.intermediate_size


def _routed_parameters(architecture: Architecture) -> int:
    return 0 if architecture.experts is None else architecture.experts.routed * _expert_parameters(architecture)


def _router_parameters(architecture: Architecture) -> int:
    return 0 if architecture.experts is None else architecture.experts.routed * architecture.hidden_size


def _dense_parameters(architecture: Architecture) -> int:
    """Over all layers, shared experts included."""
    shared = 0 if architecture.experts is None else architecture.experts.shared * _expert_parameters(architecture)
    dense_layer = 3 * architecture.hidden_size * architecture.intermediate_size
    return architecture.dense_layers * dense_layer + architecture.expert_layers * shared


def _image_encoder_parameters(architecture: Architecture) -> int:
    encoder = architecture.image_encoder
    if encoder is None:
        return 0
    layer = 4 * encoder.hidden_size**2 + 2 * encoder.hidden_size * encoder.intermediate_size
    merged = 4 * encoder.hidden_size
    return encoder.layers * layer + merged**2 + merged * architecture.hidden_size
