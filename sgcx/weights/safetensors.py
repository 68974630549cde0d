"""A checkpoint's shards, of which only names and headers are read, never a weight."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sgcx.errors import UserError

_HEADER_LENGTH_BYTES = 8
_LARGEST_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class ShardHeader:
    tensor_bytes: Mapping[str, int]
    file_bytes: int
    """How long the file is when it is whole."""


def shard_paths(folder: Path) -> tuple[Path, ...]:
    """What the index names, whether it is there or not; without an index all shards that are there.

    Raises UserError for an index that cannot be read.
    """
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return tuple(sorted(folder.glob("*.safetensors")))
    try:
        weight_map = json.loads(index.read_bytes())["weight_map"]
        names = sorted({str(name) for name in weight_map.values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} names no tensors: {error}", hint="Download it again") from error
    return tuple(folder / name for name in names)


def read_header(shard: Path) -> ShardHeader:
    """The file begins with the length of a JSON header, which has the place of every tensor. Raises UserError."""
    try:
        with shard.open("rb") as stream:
            length = int.from_bytes(stream.read(_HEADER_LENGTH_BYTES), "little")
            header = json.loads(stream.read(min(length, _LARGEST_HEADER_BYTES)))
        places = {str(name): each["data_offsets"] for name, each in header.items() if name != "__metadata__"}
        sizes = {name: int(end) - int(begin) for name, (begin, end) in places.items()}
        last = max((int(end) for _, end in places.values()), default=0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{shard} is no safetensors file: {error}", hint="Download it again") from error
    return ShardHeader(sizes, _HEADER_LENGTH_BYTES + length + last)
