"""Doctor on the hardware of GPUs: errors, heat, power, lanes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recorded_machines import recorded_machine

from sgcx.planning.gpu_facts import GpuHealth, GpuPower, PcieLink, XidError
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.workflows.checks.check import Check, Status
from sgcx.workflows.checks.health import check_health

HEALTHY = recorded_machine("8xH100")


def with_first_gpu(**changes: object) -> HardwareSnapshot:
    first = replace(HEALTHY.gpus[0], **changes)  # type: ignore[arg-type]
    return replace(HEALTHY, gpus=(first, *HEALTHY.gpus[1:]))


def only(machine: HardwareSnapshot) -> Check:
    (check,) = check_health(machine)
    return check


def test_a_healthy_machine_is_said_to_be_one() -> None:
    assert only(HEALTHY).status is Status.OK
    assert only(recorded_machine("cpu_only")).status is Status.SKIP


def test_a_log_that_cannot_be_read_is_said() -> None:
    assert "driver errors are unknown" in only(replace(HEALTHY, xid_errors=None)).found


@pytest.mark.parametrize(
    ("health", "status", "found"),
    [
        (GpuHealth(row_remapping_failed=True, ecc_uncorrected=4), Status.FAIL, "row remapping failed"),
        (GpuHealth(row_remapping_pending=True), Status.WARN, "row remapping is pending"),
        (GpuHealth(ecc_enabled=True, ecc_uncorrected=4), Status.FAIL, "4 memory errors that could not be corrected"),
        (GpuHealth(temperature_celsius=95, throttle_reasons=("hw_thermal_slowdown",)), Status.WARN, "too hot at 95 °C"),
        (GpuHealth(throttle_reasons=("hw_power_brake_slowdown",)), Status.WARN, "the power supply holds it back"),
    ],
)
def test_each_fault_of_a_gpu_is_told(health: GpuHealth, status: Status, found: str) -> None:
    check = only(with_first_gpu(health=health))
    assert (check.status, check.found) == (status, found)
    assert check.title.startswith("GPU 0 ")
    assert check.why
    assert check.mend


def test_heat_that_is_reported_twice_is_one_finding() -> None:
    reasons = ("sw_thermal_slowdown", "hw_thermal_slowdown")
    assert only(with_first_gpu(health=GpuHealth(throttle_reasons=reasons))).found == "too hot"


def test_work_at_the_power_limit_is_no_fault() -> None:
    assert only(with_first_gpu(health=GpuHealth(throttle_reasons=("sw_power_cap",)))).status is Status.OK


def test_a_power_limit_far_below_the_usual_is_told() -> None:
    check = only(with_first_gpu(power=GpuPower(limit_watts=300.0, default_limit_watts=700.0)))
    assert check.found == "limited to 300 of 700 W"
    assert check.mend == "If nobody set that on purpose: sudo nvidia-smi -i 0 -pl 700"
    assert only(with_first_gpu(power=GpuPower(limit_watts=600.0, default_limit_watts=700.0))).status is Status.OK


def test_missing_lanes_are_told_and_a_link_that_rests_is_not() -> None:
    narrow = PcieLink(generation=4, width=4, max_generation=4, max_width=16)
    assert only(with_first_gpu(pcie=narrow)).found == "4 of 16 PCIe lanes"
    resting = PcieLink(generation=1, width=16, max_generation=4, max_width=16)
    assert only(with_first_gpu(pcie=resting)).status is Status.OK


@pytest.mark.parametrize(
    ("code", "status", "found"),
    [
        (79, Status.FAIL, "GPU fell off the bus on 0000:60:00, 2× since the start"),
        (13, Status.WARN, "error on 0000:60:00, 2× since the start"),
        (999, Status.FAIL, "error on 0000:60:00, 2× since the start"),
    ],
)
def test_errors_of_the_driver_are_told_apart_from_those_of_programs(code: int, status: Status, found: str) -> None:
    check = only(replace(HEALTHY, xid_errors=(XidError("0000:60:00", code, 2),)))
    assert (check.title, check.status, check.found) == (f"Xid {code}", status, found)
