"""Checkpoints at hand: folders, and what the hub's client has in its cache. Reads headers only, never a weight."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from sgcx.errors import UserError
from sgcx.paths import weights_directory
from sgcx.planning.checkpoint_config import (
    CheckpointConfig,
    has_prediction_layers,
    loaded_bytes,
    parse_checkpoint_config,
)
from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.weights.cache import HubCache
from sgcx.weights.safetensors import read_header, shard_paths


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
        folder: Path | None = Path(repository)
    else:
        folder = HubCache(weights_directory(os.environ)).snapshot(repository, revision)
    return folder if folder is not None and (folder / "config.json").is_file() else None


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
    shards = shard_paths(folder)
    if not shards or not all(shard.is_file() for shard in shards):
        return None
    sizes: dict[str, int] = {}
    for shard in shards:
        sizes.update(read_header(shard).tensor_bytes)
    return sizes


def _read_json(path: Path) -> object:
    try:
        decoded: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    return decoded
