"""A DeepSeek-V3 of about a million random weights: latent attention and experts, in one layer with one head.

Runs in the engine's Python only. So small because a prompt of 60 thousand tokens must pass through one CPU core.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

SEED = 20260101
CONTEXT_LENGTH = 262144
VOCABULARY_SIZE = 8192
HIDDEN_SIZE = 64
DENSE_SIZE = 128
EXPERT_SIZE = 32
EXPERTS = 8
HEADS = 1
QUERY_RANK = 32
LATENT_RANK = 24
PLAIN_HEAD_SIZE = 16
ROTARY_HEAD_SIZE = 8
VALUE_HEAD_SIZE = 16
LAYERS = 1
DENSE_LAYERS = 0

Shape = tuple[int, ...]


def configuration(*, begin_id: int, end_id: int, padding_id: int) -> dict[str, object]:
    return {
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        "torch_dtype": "bfloat16",
        "vocab_size": VOCABULARY_SIZE,
        "hidden_size": HIDDEN_SIZE,
        "intermediate_size": DENSE_SIZE,
        "moe_intermediate_size": EXPERT_SIZE,
        "num_hidden_layers": LAYERS,
        "first_k_dense_replace": DENSE_LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "q_lora_rank": QUERY_RANK,
        "kv_lora_rank": LATENT_RANK,
        "qk_nope_head_dim": PLAIN_HEAD_SIZE,
        "qk_rope_head_dim": ROTARY_HEAD_SIZE,
        "v_head_dim": VALUE_HEAD_SIZE,
        "n_routed_experts": EXPERTS,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "n_group": 2,
        "topk_group": 1,
        "norm_topk_prob": True,
        "routed_scaling_factor": 2.5,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "moe_layer_freq": 1,
        "num_nextn_predict_layers": 0,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "initializer_range": 0.02,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": False,
        "use_cache": True,
        "max_position_embeddings": CONTEXT_LENGTH,
        "rope_theta": 50000.0,
        # SGLang's rotary embedding for the CPU exists in this variant only.
        "rope_scaling": {
            "type": "yarn", "factor": 64.0, "original_max_position_embeddings": CONTEXT_LENGTH // 64,
            "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
        },
        "bos_token_id": begin_id,
        "eos_token_id": end_id,
        "pad_token_id": padding_id,
    }  # fmt: skip


def parameter_shapes() -> Iterator[tuple[str, Shape]]:
    """Every parameter of the checkpoint, by the name DeepSeek gives it."""
    yield "model.embed_tokens.weight", (VOCABULARY_SIZE, HIDDEN_SIZE)
    for layer in range(LAYERS):
        name = f"model.layers.{layer}"
        yield f"{name}.input_layernorm.weight", (HIDDEN_SIZE,)
        yield f"{name}.post_attention_layernorm.weight", (HIDDEN_SIZE,)
        yield from _attention(f"{name}.self_attn")
        if layer < DENSE_LAYERS:
            yield from _feed_forward(f"{name}.mlp", DENSE_SIZE)
        else:
            yield from _experts(f"{name}.mlp")
    yield "model.norm.weight", (HIDDEN_SIZE,)
    yield "lm_head.weight", (VOCABULARY_SIZE, HIDDEN_SIZE)


def _attention(name: str) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.q_a_proj.weight", (QUERY_RANK, HIDDEN_SIZE)
    yield f"{name}.q_a_layernorm.weight", (QUERY_RANK,)
    yield f"{name}.q_b_proj.weight", (HEADS * (PLAIN_HEAD_SIZE + ROTARY_HEAD_SIZE), QUERY_RANK)
    yield f"{name}.kv_a_proj_with_mqa.weight", (LATENT_RANK + ROTARY_HEAD_SIZE, HIDDEN_SIZE)
    yield f"{name}.kv_a_layernorm.weight", (LATENT_RANK,)
    yield f"{name}.kv_b_proj.weight", (HEADS * (PLAIN_HEAD_SIZE + VALUE_HEAD_SIZE), LATENT_RANK)
    yield f"{name}.o_proj.weight", (HIDDEN_SIZE, HEADS * VALUE_HEAD_SIZE)


def _feed_forward(name: str, size: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.gate_proj.weight", (size, HIDDEN_SIZE)
    yield f"{name}.up_proj.weight", (size, HIDDEN_SIZE)
    yield f"{name}.down_proj.weight", (HIDDEN_SIZE, size)


def _experts(name: str) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.gate.weight", (EXPERTS, HIDDEN_SIZE)
    yield f"{name}.gate.e_score_correction_bias", (EXPERTS,)
    for expert in range(EXPERTS):
        yield from _feed_forward(f"{name}.experts.{expert}", EXPERT_SIZE)
    yield from _feed_forward(f"{name}.shared_experts", EXPERT_SIZE)


def write_weights(directory: Path) -> None:
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(SEED)
    tensors = {}
    for name, shape in parameter_shapes():
        if name.endswith("norm.weight"):
            tensors[name] = torch.ones(shape, dtype=torch.bfloat16)
        elif name.endswith("e_score_correction_bias"):
            tensors[name] = torch.zeros(shape, dtype=torch.float32)
        else:
            tensors[name] = (torch.randn(shape, generator=generator) * 0.02).to(torch.bfloat16)
    save_file(tensors, str(directory / "model.safetensors"), metadata={"format": "pt"})


def write_configuration(directory: Path, *, begin_id: int, end_id: int, padding_id: int) -> None:
    config = configuration(begin_id=begin_id, end_id=end_id, padding_id=padding_id)
    (directory / "config.json").write_text(json.dumps(config, indent=1))
    generation = {"bos_token_id": begin_id, "eos_token_id": end_id, "pad_token_id": padding_id}
    (directory / "generation_config.json").write_text(json.dumps(generation, indent=1))
