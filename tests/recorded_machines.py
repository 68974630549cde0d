"""The machines in `tests/machines`: recorded, or constructed from published figures as its README tells."""

from __future__ import annotations

import json
from pathlib import Path

from sgcx.planning.snapshot import HardwareSnapshot, parse_snapshot

MACHINES = Path(__file__).parent / "machines"
MACHINE_NAMES = tuple(sorted(path.stem for path in MACHINES.glob("*.json")))


def machine_file(name: str) -> Path:
    return MACHINES / f"{name}.json"


def recorded_machine(name: str) -> HardwareSnapshot:
    path = machine_file(name)
    return parse_snapshot(json.loads(path.read_text()), origin=path.name)
