"""Checkpoints without weights: `config.json` and a tokenizer, for `--load-format dummy`.

`python checkpoints.py DIRECTORY SHAPE LAYERS`, with the engine's Python. The layers have the published models' own
shapes; only their number is reduced, so what SGLang reports for them scales to the whole model.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from sgcx.rehearsal import markers, tokenizer
from sgcx.rehearsal.checkpoint import TEMPLATE

_LATENT_ATTENTION: dict[str, object] = {
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}
_DEEPSEEK: dict[str, object] = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "torch_dtype": "bfloat16",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "norm_topk_prob": True,
    "moe_layer_freq": 1,
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "attention_bias": False,
    "max_position_embeddings": 262144,
    "rope_theta": 50000.0,
    **_LATENT_ATTENTION,
}
# Routed experts in groups of 32, symmetric; everything else stays in bfloat16.
_INT4 = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "quantization_status": "compressed",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {
                "num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32,
                "actorder": None, "dynamic": False, "observer": "minmax", "block_structure": None,
            },
            "input_activations": None,
            "output_activations": None,
        }
    },
    "ignore": [
        "lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|gate_up|down)_proj.*",
    ],
    "kv_cache_scheme": None,
}  # fmt: skip
_YARN: dict[str, object] = {
    "type": "yarn", "original_max_position_embeddings": 4096, "mscale": 1.0, "mscale_all_dim": 1.0,
    "beta_fast": 32, "beta_slow": 1,
}  # fmt: skip
_FP8 = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}

_KIMI_INT4: dict[str, object] = {
    **_DEEPSEEK, "vocab_size": 163840, "num_attention_heads": 64, "num_key_value_heads": 64,
    "first_k_dense_replace": 1, "n_routed_experts": 384, "n_group": 1, "topk_group": 1,
    "routed_scaling_factor": 2.827, "num_nextn_predict_layers": 0, "quantization_config": _INT4,
}  # fmt: skip
_R1_FP8: dict[str, object] = {
    **_DEEPSEEK, "vocab_size": 129280, "num_attention_heads": 128, "num_key_value_heads": 128,
    "first_k_dense_replace": 3, "n_routed_experts": 256, "n_group": 8, "topk_group": 4,
    "routed_scaling_factor": 2.5, "num_nextn_predict_layers": 0, "quantization_config": _FP8,
}  # fmt: skip

SHAPES: dict[str, dict[str, object]] = {
    "kimi-k2.6-text": {**_KIMI_INT4, "rope_scaling": {**_YARN, "factor": 64.0}},
    "deepseek-r1": {
        **_R1_FP8, "max_position_embeddings": 163840, "rope_theta": 10000.0, "num_nextn_predict_layers": 1,
        "rope_scaling": {**_YARN, "factor": 40.0},
    },
    "kimi-int4": _KIMI_INT4,
    "kimi-small": {  # bfloat16 and 64 experts: Kimi's layers where the INT4 kernels are not at hand
        **_DEEPSEEK, "vocab_size": 8192, "num_attention_heads": 64, "num_key_value_heads": 64,
        "first_k_dense_replace": 1, "n_routed_experts": 64, "n_group": 1, "topk_group": 1,
        "routed_scaling_factor": 2.827, "num_nextn_predict_layers": 0,
    },
    "r1-fp8": _R1_FP8,
    "qwen-fast": {  # so light that the API process, not the GPU, is the limit
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "torch_dtype": "bfloat16",
        "hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16, "num_key_value_heads": 4,
        "vocab_size": 8192, "max_position_embeddings": 131072, "rope_theta": 1e6, "rms_norm_eps": 1e-6,
        "hidden_act": "silu", "tie_word_embeddings": False,
    },
}  # fmt: skip


def write_checkpoint(directory: Path, shape: str, layers: int) -> None:
    """`shape`: a key of `SHAPES`. Every token of its vocabulary has a text: random weights say any of them."""
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.write_tokenizer(directory, context_length=131072)
    _fill_vocabulary(directory / "tokenizer.json", int(str(SHAPES[shape]["vocab_size"])))
    shutil.copyfile(TEMPLATE, directory / TEMPLATE.name)
    config = {
        **SHAPES[shape],
        "num_hidden_layers": layers,
        "bos_token_id": tokenizer.token_id(directory, "[BOS]"),
        "eos_token_id": tokenizer.token_id(directory, markers.END),
    }
    (directory / "config.json").write_text(json.dumps(config, indent=1))


def _fill_vocabulary(path: Path, size: int) -> None:
    """Tokens that no merge produces, so that prompts are cut as before."""
    document = json.loads(path.read_text())
    vocabulary = document["model"]["vocab"]
    known = len(vocabulary) + len(document["added_tokens"])
    vocabulary.update({f"\u0120t{number}": number for number in range(known, size)})
    path.write_text(json.dumps(document))


if __name__ == "__main__":
    write_checkpoint(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
