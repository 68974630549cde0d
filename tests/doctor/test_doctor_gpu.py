"""Doctor on GPUs: for each finding a machine that has it, and one that has not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recorded_machines import recorded_machine

from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.workflows.checks.check import Check, Status
from sgcx.workflows.checks.gpu import check_driver, check_fabric, check_gpus, check_kinds, check_modes

GIB = 1 << 30
GOOD = ("8xH200", "8xB200", "8xH100", "1xRTX_4090_desktop", "cpu_only", "WSL_RTX_4090")


def test_a_new_enough_driver_is_fine_and_an_old_one_fails() -> None:
    assert check_driver(recorded_machine("8xH200")).status is Status.OK
    old = check_driver(recorded_machine("old_driver"))
    assert (old.status, old.why) == (Status.FAIL, "CUDA 12 needs 525.60.13 or later")


def test_gpus_that_others_use_are_a_warning_and_our_own_are_not() -> None:
    machine = recorded_machine("8xH200")
    busy = replace(machine.gpus[1], used_bytes=20 * GIB)
    machine = replace(machine, gpus=(machine.gpus[0], busy))
    assert [check.status for check in check_gpus(machine, frozenset())] == [Status.OK, Status.WARN]
    assert [check.status for check in check_gpus(machine, frozenset({1}))] == [Status.OK, Status.OK]


def test_a_gpu_that_cannot_be_read_is_a_warning() -> None:
    machine = recorded_machine("8xH100_one_lost")
    assert next(iter(check_gpus(machine, frozenset()))).status is Status.WARN


def test_who_holds_a_busy_gpu_is_named() -> None:
    busy = [check for check in check_gpus(recorded_machine("8xH100_busy"), frozenset()) if check.status is Status.WARN]
    assert [check.title for check in busy] == ["GPU 0", "GPU 1", "GPU 2", "GPU 7"]
    assert busy[3].mend == "End jupyter-lab (pid 51200), or choose other GPUs with --gpus"


def test_memory_that_is_the_machines_own_is_not_taken_from_a_gpu() -> None:
    assert [check.status for check in check_gpus(recorded_machine("DGX_Spark"), frozenset())] == [Status.OK]


@pytest.mark.parametrize("name", GOOD)
def test_a_machine_in_order_has_no_findings(name: str) -> None:
    machine = recorded_machine(name)
    assert [*check_kinds(machine), *check_modes(machine), *check_fabric(machine)] == []


@pytest.mark.parametrize(
    ("name", "title", "status", "found"),
    [
        ("1xV100", "capability", Status.FAIL, "GPU 0: compute capability 7.0"),
        (
            "2x48GB_and_display",
            "small GPU",
            Status.WARN,
            "much smaller than the others: GPU 0 (NVIDIA T400",
        ),
        ("DGX_Spark", "known faults", Status.WARN, "GPU 0, compute capability 12.1: SGLang's INT4 kernels"),
        ("8xRTX_PRO_6000", "known faults", Status.WARN, "GPUs 0, 1, 2, 3, 4, 5, 6, 7, compute capability 12.0: with"),
    ],
)
def test_gpus_that_do_not_go_together_or_fail_are_told(name: str, title: str, status: Status, found: str) -> None:
    check = find(title, [*check_kinds(recorded_machine(name))])
    assert check.status is status
    assert check.found.startswith(found)


def test_different_gpus_of_a_like_size_are_told() -> None:
    machine = recorded_machine("mixed_GPUs")
    check = find("kinds", [*check_kinds(replace(machine, gpus=machine.gpus[1:]))])
    assert check.found == "different GPUs: NVIDIA GeForce RTX 3090, NVIDIA GeForce RTX 4090"


def test_a_gpu_that_is_cut_gets_the_command_that_joins_it() -> None:
    check = find("MIG", [*check_modes(recorded_machine("8xA100_MIG"))])
    assert (check.found, check.status) == ("GPUs 0, 1 are cut into instances", Status.WARN)
    assert check.mend is not None
    assert check.mend.startswith("sudo nvidia-smi -i 0,1 -mig 0")


@pytest.mark.parametrize(
    ("mode", "status"),
    [("exclusive_process", Status.WARN), ("exclusive_thread", Status.WARN), ("prohibited", Status.FAIL)],
)
def test_a_compute_mode_that_keeps_programs_out_is_told(mode: str, status: Status) -> None:
    machine = with_first_gpu(recorded_machine("8xH100"), compute_mode=mode)
    check = find("compute mode", [*check_modes(machine)])
    assert (check.status, check.found, check.mend) == (status, f"GPU 0: {mode}", "sudo nvidia-smi -i 0 -c 0")


def test_a_driver_that_unloads_is_told() -> None:
    check = find("persistence", [*check_modes(recorded_machine("2xRTX_4090"))])
    assert (check.found, check.mend) == ("off on GPUs 0, 1", "sudo nvidia-smi -i 0,1 -pm 1")


def test_gpus_that_wait_for_the_fabric_fail() -> None:
    check = find("fabric", [*check_fabric(recorded_machine("8xH200_fabric_down"))])
    assert check.status is Status.FAIL
    assert check.found == "GPUs 0, 1, 2, 3, 4, 5, 6, 7 wait for the NVLink fabric"


def test_a_fabric_manager_that_does_not_run_fails() -> None:
    machine = recorded_machine("8xA100")
    stopped = replace(machine, system=replace(machine.system, fabric_manager="inactive"))
    assert find("fabric", [*check_fabric(stopped)]).found == "the fabric manager does not run"


def with_first_gpu(machine: HardwareSnapshot, **changes: object) -> HardwareSnapshot:
    first = replace(machine.gpus[0], **changes)  # type: ignore[arg-type]
    return replace(machine, gpus=(first, *machine.gpus[1:]))


def find(title: str, checks: list[Check]) -> Check:
    (check,) = [each for each in checks if each.title == title]
    return check
