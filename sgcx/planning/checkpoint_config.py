"""What a checkpoint says of itself: its shapes and format from `config.json`, its size from its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sgcx.planning.architecture import Architecture, parse_architecture
from sgcx.planning.fields import Fields
from sgcx.planning.weights import Quantization

_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")
_KIMI_GROUP = 32
"""Kimi's own INT4 has groups of this many weights, in the experts alone; of others every layer is quantized."""


@dataclass(frozen=True, slots=True)
class CheckpointConfig:
    model_class: str
    architecture: Architecture
    quantization: Quantization
    max_context_length: int
    runs_its_own_code: bool

    @property
    def minimum_compute_capability(self) -> tuple[int, int]:
        match self.quantization:
            case "nvfp4":
                return (10, 0)
            case "w4afp8":
                return (9, 0)
            case "fp8":
                return (8, 9)
            case _:
                return (8, 0)


def parse_checkpoint_config(value: object, *, origin: str) -> CheckpointConfig:
    fields = Fields.of(value, origin)
    text = fields.section("text_config") if fields.has("text_config") else fields
    return CheckpointConfig(
        model_class=fields.texts("architectures")[0] if fields.has("architectures") else "unknown",
        architecture=parse_architecture(fields),
        quantization=_quantization(fields, text),
        max_context_length=text.whole_number("max_position_embeddings", at_least=1),
        runs_its_own_code=fields.has("auto_map"),
    )


def loaded_bytes(tensors: Mapping[str, int], layers: int) -> int:
    """Of the tensors' sizes by name, those that are loaded without speculative decoding: no layers beyond `layers`."""
    return sum(size for name, size in tensors.items() if not _is_prediction(name, layers))


def has_prediction_layers(tensors: Mapping[str, int], layers: int) -> bool:
    return any(_is_prediction(name, layers) for name in tensors)


def _is_prediction(name: str, layers: int) -> bool:
    found = _LAYER.search(name)
    return found is not None and int(found[1]) >= layers and not name.startswith("vision")


def _quantization(fields: Fields, text: Fields) -> Quantization:
    for holder in (text, fields):
        if holder.has("quantization_config"):
            return _stated_quantization(holder.section("quantization_config"))
    return "bf16"


def _stated_quantization(config: Fields) -> Quantization:
    method = config.text("quant_method")
    match method:
        case "fp8" | "w4afp8":
            return "fp8" if method == "fp8" else "w4afp8"
        case "awq":
            return "awq"
        case "modelopt" | "modelopt_fp4":
            return "nvfp4"
        case "compressed-tensors":
            return _compressed(config)
    known = "fp8, awq, w4afp8, modelopt or compressed-tensors: the formats that sgcx can plan for"
    raise config.error("quant_method", known, method)


def _compressed(config: Fields) -> Quantization:
    weights = config.section("config_groups").section("group_0").section("weights")
    if weights.whole_number("num_bits") == 8:
        return "fp8" if weights.text("type") == "float" else "int8"
    if weights.text("type") == "float":
        return "nvfp4"
    return "int4" if weights.has("group_size") and weights.whole_number("group_size") == _KIMI_GROUP else "w4a16"
