"""The file that says an environment is complete, and what it was made from."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sgcx.atomic_write import write_atomically
from sgcx.environments.engine_specs import EngineDirectory, EngineSpec

_BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True)
class EngineMarker:
    lock_sha256: str
    python: str
    """`python3.11`: the folder name that a changed base Python would no longer look into."""
    size_bytes: int


def lock_sha256(spec: EngineSpec) -> str:
    return hashlib.sha256(spec.lock.read_bytes()).hexdigest()


def read_marker(engine: EngineDirectory) -> EngineMarker | None:
    try:
        found: object = json.loads(engine.marker.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    match found:
        case {"lock_sha256": str(lock), "python": str(python), "size_bytes": int(size_bytes)}:
            return EngineMarker(lock, python, size_bytes)
        case _:
            return None


def write_marker(engine: EngineDirectory, marker: EngineMarker) -> None:
    write_atomically(engine.marker, json.dumps(asdict(marker), indent=2).encode("utf-8"), mode=0o644)


def measure_bytes(directory: Path) -> int:
    """What the directory takes on the disk, not following links."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):  # pip may be at work
                total += (Path(folder) / name).lstat().st_blocks * _BLOCK_BYTES
    return total
