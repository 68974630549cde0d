"""Checkpoints at hand: folders, and what the hub's client has in its cache. Reads headers only, never a weight."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from sgcx.errors import UserError
from sgcx.planning.checkpoint_config import (
    CheckpointConfig,
    has_prediction_layers,
    loaded_bytes,
    parse_checkpoint_config,
)
from sgcx.planning.profile import HubCheckpoint, Profile

_HEADER_LENGTH_BYTES = 8
_LARGEST_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class CheckpointAtHand:
    folder: Path
    config: CheckpointConfig
    weights_bytes: int | None
    """None while shards are missing."""
    has_prediction_layers: bool


def find_checkpoint(repository: str, revision: str | None) -> Path | None:
    """The folder with its `config.json`; None when this machine does not have it."""
    if repository.startswith("/"):
        folder = Path(repository)
    else:
        cached = _hub_cache() / f"models--{repository.replace('/', '--')}"
        commit = revision or _read_text(cached / "refs" / "main")
        folder = cached / "snapshots" / (commit or "none")
    return folder if (folder / "config.json").is_file() else None


def read_checkpoint(folder: Path) -> CheckpointAtHand:
    config = parse_checkpoint_config(_read_json(folder / "config.json"), origin=str(folder / "config.json"))
    tensors = _tensor_bytes(folder)
    layers = config.architecture.layers
    return CheckpointAtHand(
        folder=folder,
        config=config,
        weights_bytes=None if tensors is None else loaded_bytes(tensors, layers),
        has_prediction_layers=tensors is not None and has_prediction_layers(tensors, layers),
    )


def with_checkpoints_at_hand(profile: Profile) -> Profile:
    """Shapes and sizes of the checkpoints themselves, where this machine has them, in place of the profile's."""
    variants = [_at_hand(variant) for variant in profile.variants]
    return replace(profile, checkpoint=variants[0], alternatives=tuple(variants[1:])) if variants else profile


def _at_hand(variant: HubCheckpoint) -> HubCheckpoint:
    folder = find_checkpoint(variant.repository, variant.revision)
    if folder is None:
        return variant
    try:
        found = read_checkpoint(folder)
    except UserError:  # half downloaded, say: the profile's figures are good enough
        return variant
    architecture = replace(found.config.architecture, prediction_layers=variant.architecture.prediction_layers)
    return replace(
        variant,
        architecture=architecture,
        stated_weights_bytes=found.weights_bytes or variant.stated_weights_bytes,
    )


def _tensor_bytes(folder: Path) -> dict[str, int] | None:
    index = folder / "model.safetensors.index.json"
    names = _shard_names(index) if index.is_file() else sorted(path.name for path in folder.glob("*.safetensors"))
    shards = [folder / name for name in names]
    if not shards or not all(shard.is_file() for shard in shards):
        return None
    sizes: dict[str, int] = {}
    for shard in shards:
        sizes.update(_header_sizes(shard))
    return sizes


def _shard_names(index: Path) -> list[str]:
    document = _read_json(index)
    weight_map = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weight_map, dict):
        raise UserError(f"{index} names no tensors")
    return sorted({str(name) for name in weight_map.values()})


def _header_sizes(shard: Path) -> dict[str, int]:
    """A safetensors file begins with the length of a JSON header, which has the place of every tensor."""
    try:
        with shard.open("rb") as stream:
            length = int.from_bytes(stream.read(_HEADER_LENGTH_BYTES), "little")
            header = json.loads(stream.read(min(length, _LARGEST_HEADER_BYTES)))
        places = {str(name): each["data_offsets"] for name, each in header.items() if name != "__metadata__"}
        return {name: int(end) - int(begin) for name, (begin, end) in places.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{shard} is no safetensors file: {error}", hint="Download it again") from error


def _hub_cache() -> Path:
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def _read_json(path: Path) -> object:
    try:
        decoded: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    return decoded


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
