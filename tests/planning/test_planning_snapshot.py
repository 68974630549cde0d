"""A recorded machine reads back as it was measured, and a faulty record names its field."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from recorded_machines import MACHINE_NAMES, machine_file, recorded_machine

from sgcx.errors import UserError
from sgcx.planning.gpu_facts import GpuHealth, GpuLink, GpuPower, PcieLink
from sgcx.planning.host_facts import FileSystem, ProcessLimits
from sgcx.planning.snapshot import Missing, parse_snapshot


@pytest.mark.parametrize("name", MACHINE_NAMES)
def test_a_snapshot_survives_json(name: str) -> None:
    machine = recorded_machine(name)

    assert parse_snapshot(json.loads(json.dumps(machine.to_json()))) == machine


def test_every_kind_of_field_survives_json() -> None:
    record = recorded("1xRTX_4090") | {
        "limits": {"open_files": "unlimited", "locked_memory_bytes": 65536},
        "file_systems": [{"purpose": "data", "kind": "xfs", "total_bytes": 9, "free_bytes": 3, "rotational": False}],
        "gpu_links": [{"first": 0, "second": 1, "kind": "nvlink", "nvlink_count": 18}],
        "missing": [{"field": "gpus[0].power", "reason": "Not Supported"}],
    }
    record["gpus"][0] |= {
        "pcie": {"generation": 4, "width": 8},
        "power": {"limit_watts": 449.5},
        "health": {"throttle_reasons": ["sw_power_cap"], "ecc_enabled": False},
    }
    machine = parse_snapshot(record)

    assert machine.limits == ProcessLimits(open_files="unlimited", locked_memory_bytes=65536)
    assert machine.file_system("data") == FileSystem("data", "xfs", total_bytes=9, free_bytes=3, rotational=False)
    assert machine.link(1, 0) == GpuLink(0, 1, "nvlink", nvlink_count=18)
    assert machine.missing == (Missing("gpus[0].power", "Not Supported"),)
    assert machine.gpus[0].pcie == PcieLink(generation=4, width=8)
    assert machine.gpus[0].power == GpuPower(limit_watts=449.5)
    assert machine.gpus[0].health == GpuHealth(throttle_reasons=("sw_power_cap",), ecc_enabled=False)
    assert parse_snapshot(json.loads(json.dumps(machine.to_json()))) == machine


def test_keys_of_a_later_version_are_passed_over() -> None:
    record = recorded("1xRTX_4090") | {"neural_cores": 12}
    record["gpus"][0]["flux_capacitor"] = {"watts": 1.21e9}

    assert parse_snapshot(record) == recorded_machine("1xRTX_4090")


def test_a_format_of_a_later_version_is_refused() -> None:
    with pytest.raises(UserError, match=r"box.json: its format is 3, and this sgcx reads up to 2"):
        parse_snapshot(recorded("1xRTX_4090") | {"format": 3}, origin="box.json")


def test_what_the_driver_reserves_and_others_use_is_not_free() -> None:
    gpu = recorded_machine("1xRTX_4090_desktop").gpus[0]

    assert gpu.free_bytes == gpu.total_bytes - gpu.reserved_bytes - gpu.used_bytes
    assert gpu.free_bytes < gpu.total_bytes


def recorded(name: str) -> Any:
    return json.loads(machine_file(name).read_text())


@pytest.mark.parametrize(
    ("gpu_field", "value", "message"),
    [
        ("total_bytes", None, "`gpus[0].total_bytes` is missing"),
        ("total_bytes", "24 GB", "`gpus[0].total_bytes` must be a whole number, at least 1, not '24 GB'"),
        ("compute_capability", [8], "`gpus[0].compute_capability` must be a list of 2 whole numbers"),
        ("pcie", [], "`gpus[0].pcie` must be a table, not a list"),
        ("processes", [{"pid": -1}], "`gpus[0].processes[0].pid` must be a whole number, at least 0, not -1"),
        ("mig_enabled", 1, "`gpus[0].mig_enabled` must be true or false, not 1"),
        ("power", {"draw_watts": True}, "`gpus[0].power.draw_watts` must be a number, not true"),
        ("compute_mode", "shared", '`gpus[0].compute_mode` must be one of "default", "exclusive_thread"'),
        ("pci_bus_id", 3, "`gpus[0].pci_bus_id` must be a text, not 3"),
    ],
)
def test_a_faulty_gpu_is_named(gpu_field: str, value: object, message: str) -> None:
    record = copy.deepcopy(recorded("1xRTX_4090"))
    record["gpus"][0][gpu_field] = value

    with pytest.raises(UserError) as caught:
        parse_snapshot(record, origin="box.json")

    assert caught.value.message.startswith("box.json: ")
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("value", "message"),
    [(3.5, "a whole number, at least 0, not 3.5"), ("some", "one of \"unlimited\", not 'some'")],
)
def test_a_limit_is_a_number_or_unlimited(value: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_snapshot(recorded("1xRTX_4090") | {"limits": {"open_files": value}})


@pytest.mark.parametrize("value", [[], "x", None, 3])
def test_json_that_is_no_table_is_an_error(value: object) -> None:
    with pytest.raises(UserError, match="must be a table"):
        parse_snapshot(value)
