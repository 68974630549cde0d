"""A recorded machine reads back as it was measured, and a faulty record names its field."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from sgcx.errors import UserError
from sgcx.planning.snapshot import parse_snapshot

MACHINES = sorted((Path(__file__).parent / "hardware").glob("*.json"))


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_a_snapshot_survives_json(path: Path) -> None:
    snapshot = parse_snapshot(json.loads(path.read_text()), origin=path.name)

    assert parse_snapshot(json.loads(json.dumps(snapshot.to_json()))) == snapshot


def test_what_the_driver_reserves_and_others_use_is_not_free() -> None:
    record = recorded("1xRTX_4090_desktop")
    gpu = parse_snapshot(record).gpus[0]

    assert gpu.free_bytes == gpu.total_bytes - gpu.reserved_bytes - gpu.used_bytes
    assert gpu.free_bytes < gpu.total_bytes


def recorded(name: str) -> Any:
    path = next(path for path in MACHINES if path.stem == name)
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("gpu_field", "value", "message"),
    [
        ("total_bytes", None, "`gpus[0].total_bytes` is missing"),
        ("total_bytes", "24 GB", "`gpus[0].total_bytes` must be a whole number, at least 1, not '24 GB'"),
        ("compute_capability", [8], "`gpus[0].compute_capability` must be a list of two whole numbers"),
        ("temperature", 60, "unknown key `gpus[0].temperature`"),
    ],
)
def test_a_faulty_gpu_is_named(gpu_field: str, value: object, message: str) -> None:
    record = copy.deepcopy(recorded("1xRTX_4090"))
    record["gpus"][0][gpu_field] = value

    with pytest.raises(UserError) as caught:
        parse_snapshot(record, origin="box.json")

    assert caught.value.message.startswith("box.json: ")
    assert message in caught.value.message


@pytest.mark.parametrize("value", [[], "x", None, 3])
def test_json_that_is_no_table_is_an_error(value: object) -> None:
    with pytest.raises(UserError, match="must be a table"):
        parse_snapshot(value)
