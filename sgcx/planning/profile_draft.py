"""A profile's text from what a checkpoint says of itself, with comments for the person who finishes it."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.planning.architecture import Architecture, GqaAttention, MlaAttention
from sgcx.planning.checkpoint_config import CheckpointConfig
from sgcx.planning.profile import Dialect

_KIMI_VOCABULARY = 163_840


@dataclass(frozen=True, slots=True)
class _Family:
    dialect: Dialect
    reading: str
    sampling: str


_KIMI = _Family(
    "kimi_k2",
    'thinking = "default_on"\nreasoning_parser = "kimi_k2"\ntool_call_parser = "kimi_k2"',
    "[sampling.thinking]\ntemperature = 1.0\ntop_p = 0.95\n\n[sampling.instant]\ntemperature = 0.6\ntop_p = 0.95",
)
_DEEPSEEK = _Family(
    "deepseek_r1",
    'thinking = "always"\nreasoning_parser = "deepseek-r1"',
    "[sampling.thinking]\ntemperature = 0.6\ntop_p = 0.95",
)


def draft_profile(
    name: str,
    repository: str,
    config: CheckpointConfig,
    *,
    weights_bytes: int | None,
    has_prediction_layers: bool,
) -> str:
    """`weights_bytes`: None leaves the size to be counted from the shapes."""
    family = _KIMI if config.architecture.vocabulary_size == _KIMI_VOCABULARY else _DEEPSEEK
    modalities = '["text"]' if config.architecture.image_encoder is None else '["text", "image"]'
    major, minor = config.minimum_compute_capability
    size = "" if weights_bytes is None else f"# From the checkpoint's own tensors.\nweights_bytes = {weights_bytes:_}\n"
    code = "# The repository holds Python code.\ntrust_remote_code = true\n" if config.runs_its_own_code else ""
    predicts = has_prediction_layers and config.architecture.prediction_layers > 0
    prediction = "has_prediction_layers = true\n" if predicts else ""
    return f"""\
# Made from the checkpoint ({config.model_class}). docs/profiles.md explains every key;
# `sgcx profiles validate {name}` checks them.
name = "{name}"
title = "{name}"
# The model's name in requests.
served_model_name = "{name}"
# How history is written for the model and its text is read: "kimi_k2" or "deepseek_r1". Guessed: please check.
dialect = "{family.dialect}"
input_modalities = {modalities}
max_context_length = {config.max_context_length:_}
# "always", or "default_on" for a model that can answer without reasoning; then [sampling.instant] is needed too.
{family.reading}

[architecture]
{_shapes(config.architecture)}
[[variants]]
name = "{config.quantization}"
title = "{config.quantization}"
repository = "{repository}"
# A commit of 40 digits pins weights and code.
# revision = ""
{code}quantization = "{config.quantization}"
# Older GPUs cannot run these weights.
minimum_compute_capability = [{major}, {minor}]
{size}{prediction}
# From the model's card.
{family.sampling}
"""


def _shapes(architecture: Architecture) -> str:
    lines = [
        ("num_hidden_layers", architecture.layers),
        ("hidden_size", architecture.hidden_size),
        ("intermediate_size", architecture.intermediate_size),
        ("vocab_size", architecture.vocabulary_size),
        ("num_attention_heads", architecture.attention_heads),
        *_attention(architecture),
        *_experts(architecture),
    ]
    if architecture.prediction_layers:
        lines.append(("num_nextn_predict_layers", architecture.prediction_layers))
    text = "".join(f"{key} = {value}\n" for key, value in lines)
    if architecture.tied_embeddings:
        text += "tie_word_embeddings = true\n"
    return text + _image_encoder(architecture)


def _attention(architecture: Architecture) -> list[tuple[str, int]]:
    match architecture.attention:
        case MlaAttention() as mla:
            return [
                ("q_lora_rank", mla.q_lora_rank),
                ("kv_lora_rank", mla.kv_lora_rank),
                ("qk_nope_head_dim", mla.qk_nope_head_dim),
                ("qk_rope_head_dim", mla.qk_rope_head_dim),
                ("v_head_dim", mla.v_head_dim),
            ]
        case GqaAttention(kv_heads, head_dim):
            return [("num_key_value_heads", kv_heads), ("head_dim", head_dim)]


def _experts(architecture: Architecture) -> list[tuple[str, int]]:
    experts = architecture.experts
    if experts is None:
        return []
    return [
        ("n_routed_experts", experts.routed),
        ("n_shared_experts", experts.shared),
        ("num_experts_per_tok", experts.per_token),
        ("moe_intermediate_size", experts.intermediate_size),
        ("first_k_dense_replace", experts.dense_layers),
    ]


def _image_encoder(architecture: Architecture) -> str:
    encoder = architecture.image_encoder
    if encoder is None:
        return ""
    return f"""
[architecture.vision_config]
num_hidden_layers = {encoder.layers}
hidden_size = {encoder.hidden_size}
intermediate_size = {encoder.intermediate_size}
num_attention_heads = {encoder.attention_heads}
"""
