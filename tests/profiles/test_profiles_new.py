"""A checkpoint at hand speaks for itself: its shapes, its format and its true size become a profile, and the plan's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.checkpoint_config import loaded_bytes, parse_checkpoint_config
from sgcx.planning.profile import HubCheckpoint
from sgcx.planning.weights import checkpoint_bytes
from sgcx.profiles import load_profile
from sgcx.workflows.checkpoints import find_checkpoint, read_checkpoint, with_checkpoints_at_hand
from sgcx.workflows.profiles import new

QWEN: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "vocab_size": 1000,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
    "rope_theta": 10000,
}
R1: dict[str, Any] = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV3Config"},
    "num_hidden_layers": 61,
    "first_k_dense_replace": 3,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "num_nextn_predict_layers": 1,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "vocab_size": 129280,
    "max_position_embeddings": 163840,
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]},
}
KIMI: dict[str, Any] = {
    "architectures": ["KimiK25ForConditionalGeneration"],
    "auto_map": {"AutoConfig": "configuration_kimi_k25.KimiK25Config"},
    "text_config": {
        **{key: value for key, value in R1.items() if key not in ("architectures", "auto_map", "quantization_config")},
        "n_routed_experts": 384,
        "first_k_dense_replace": 1,
        "num_attention_heads": 64,
        "num_nextn_predict_layers": 0,
        "vocab_size": 163840,
        "max_position_embeddings": 262144,
        "quantization_config": {
            "quant_method": "compressed-tensors",
            "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 32}}},
        },
    },
    "vision_config": {"vt_num_hidden_layers": 27, "vt_hidden_size": 1152, "vt_num_attention_heads": 16},
}


def shard(path: Path, tensors: dict[str, int]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, size in tensors.items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
        end += size
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + bytes(end))


def checkpoint(folder: Path, config: dict[str, Any], tensors: dict[str, int] | None = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    if tensors is not None:
        shard(folder / "model.safetensors", tensors)
    return folder


def paths(home: Path) -> Paths:
    return Paths(data=home / "data", state=home / "state", config=home / "config")


@pytest.mark.parametrize(
    ("config", "quantization", "gigabytes", "dialect"),
    [(QWEN, "bf16", None, "deepseek_r1"), (R1, "fp8", 673.1, "deepseek_r1"), (KIMI, "int4", 595.06, "kimi_k2")],
    ids=["qwen", "r1", "kimi"],
)
def test_a_config_becomes_a_sound_profile(
    tmp_path: Path, config: dict[str, Any], quantization: str, gigabytes: float | None, dialect: str
) -> None:
    folder = checkpoint(tmp_path / "weights", config)
    written = new("mine", str(folder), paths(tmp_path))
    profile = load_profile("mine", written.parent)

    assert isinstance(profile.checkpoint, HubCheckpoint)
    assert (profile.checkpoint.quantization, profile.dialect) == (quantization, dialect)
    assert profile.checkpoint.repository == str(folder)
    assert profile.checkpoint.trust_remote_code == ("auto_map" in config)
    expected = parse_checkpoint_config(config, origin="config.json")
    assert profile.checkpoint.architecture == expected.architecture
    assert profile.max_context_length == expected.max_context_length
    if gigabytes is not None:
        counted = checkpoint_bytes(expected.architecture, expected.quantization)
        assert counted == pytest.approx(gigabytes * 1e9, rel=0.002), "the published size"


def test_the_size_comes_from_the_tensors_without_the_layers_that_guess_ahead(tmp_path: Path) -> None:
    tensors = {"model.embed_tokens.weight": 1000, "model.layers.60.x": 200, "model.layers.61.x": 50}
    found = read_checkpoint(checkpoint(tmp_path / "r1", R1, tensors))

    assert found.weights_bytes == 1200
    assert found.has_prediction_layers
    written = new("mine", str(found.folder), paths(tmp_path))
    profile = load_profile("mine", written.parent)
    assert isinstance(profile.checkpoint, HubCheckpoint)
    assert profile.checkpoint.weights_bytes == 1200
    assert profile.checkpoint.has_prediction_layers


def test_image_layers_are_not_taken_for_layers_that_guess_ahead() -> None:
    assert loaded_bytes({"vision_tower.encoder.layers.26.w": 7, "language_model.model.layers.2.w": 1}, 2) == 7


def test_a_half_downloaded_checkpoint_gives_its_shapes_only(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "half", QWEN)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "one.safetensors"}}')

    assert read_checkpoint(folder).weights_bytes is None


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "bad", QWEN)
    (folder / "model.safetensors").write_bytes(b"not it")

    with pytest.raises(UserError, match=r"model\.safetensors is no safetensors file"):
        read_checkpoint(folder)


def test_a_plan_takes_the_true_size_of_a_downloaded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    commit = "b" * 40
    cached = tmp_path / "models--deepseek-ai--DeepSeek-R1-0528"
    checkpoint(cached / "snapshots" / commit, R1, {"model.layers.0.x": 77})
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)

    profile = with_checkpoints_at_hand(load_profile("deepseek-r1", tmp_path))

    assert profile.variants[0].weights_bytes == 77
    assert find_checkpoint("deepseek-ai/DeepSeek-R1", None) is None


def test_a_new_profile_overwrites_nothing_and_needs_a_checkpoint(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "weights", QWEN)
    new("mine", str(folder), paths(tmp_path))

    with pytest.raises(UserError, match="exists already"):
        new("mine", str(folder), paths(tmp_path))
    with pytest.raises(UserError, match="neither a folder"):
        new("other", "nobody/nothing", paths(tmp_path))
    with pytest.raises(UserError, match="no name for a profile"):
        new("../x", str(folder), paths(tmp_path))


def compressed(**weights: object) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}


@pytest.mark.parametrize(
    ("quantization", "expected"),
    [
        ({"quant_method": "awq", "bits": 4}, "awq"),
        ({"quant_method": "w4afp8"}, "w4afp8"),
        ({"quant_method": "modelopt"}, "nvfp4"),
        (compressed(num_bits=8, type="float"), "fp8"),
        (compressed(num_bits=8, type="int"), "int8"),
        (compressed(num_bits=4, type="float"), "nvfp4"),
        (compressed(num_bits=4, type="int", group_size=128), "w4a16"),
    ],
)
def test_formats_are_told_apart(quantization: dict[str, Any], expected: str) -> None:
    config = parse_checkpoint_config({**QWEN, "quantization_config": quantization}, origin="config.json")
    assert config.quantization == expected


def test_a_format_that_nobody_can_plan_for_is_named() -> None:
    with pytest.raises(UserError, match=r"`quantization_config\.quant_method` must be fp8, awq"):
        parse_checkpoint_config({**QWEN, "quantization_config": {"quant_method": "bitnet"}}, origin="config.json")
