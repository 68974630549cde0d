"""Doctor on the state of the GPUs' hardware: memory errors, driver errors, heat, power, lanes. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from sgcx.planning.gpu_facts import XidError
from sgcx.planning.snapshot import GpuSnapshot, HardwareSnapshot
from sgcx.workflows.checks.check import Check, Status

HEALTH = "GPU health"
_LEAST_POWER = 0.8
"""Of the default limit; below it decoding gets noticeably slower."""
_XID_OF_PROGRAMS = frozenset({13, 31, 43, 45, 68, 69})
"""NVIDIA's list of Xid errors: these are mistakes of a program, all others are the hardware's or the driver's."""
_XID_MEANINGS = {
    48: "memory error that could not be corrected",
    63: "faulty memory row remapped",
    64: "faulty memory row could not be remapped",
    74: "NVLink error",
    79: "GPU fell off the bus",
    94: "contained memory error",
    95: "memory error that reached other programs",
    119: "the GPU's own processor does not answer",
    120: "error of the GPU's own processor",
}
_THROTTLING = {
    "hw_thermal_slowdown": ("too hot", "Let it cool: fans, dust, room temperature, neighbours without a gap"),
    "sw_thermal_slowdown": ("too hot", "Let it cool: fans, dust, room temperature, neighbours without a gap"),
    "hw_power_brake_slowdown": ("the power supply holds it back", "Check cables, power supplies and the rack's limit"),
    "hw_slowdown": ("hardware holds it back", "`nvidia-smi -q -d PERFORMANCE` names the cause"),
}


def check_health(hardware: HardwareSnapshot) -> Iterator[Check]:
    if not hardware.gpus:
        yield Check(HEALTH, "GPUs", Status.SKIP, "none")
        return
    findings = [*_check_xid(hardware.xid_errors or ())]
    for gpu in hardware.gpus:
        findings += [*_check_memory(gpu), *_check_heat(gpu), *_check_power(gpu), *_check_lanes(gpu)]
    if findings:
        yield from findings
        return
    seen = (
        "" if hardware.xid_errors is not None else "; the kernel's log was not readable, so driver errors are unknown"
    )
    yield Check(HEALTH, "GPUs", Status.OK, f"no memory errors, heat, power or lane limits{seen}")


def _check_xid(errors: tuple[XidError, ...]) -> Iterator[Check]:
    for error in errors:
        found = f"{_XID_MEANINGS.get(error.code, 'error')} on {error.pci_bus_id}, {error.count}× since the start"
        title = f"Xid {error.code}"
        if error.code in _XID_OF_PROGRAMS:
            why = "A program made a mistake on the GPU; the hardware is well"
            yield Check(HEALTH, title, Status.WARN, found, why, "If it was a server of sgcx: `sgcx logs` shows more")
        else:
            why = "The driver reports a fault of the GPU; servers on it fail or hang"
            mend = "Restart the machine; if it comes again, have the card replaced (`nvidia-bug-report.sh` for support)"
            yield Check(HEALTH, title, Status.FAIL, found, why, mend)


def _check_memory(gpu: GpuSnapshot) -> Iterator[Check]:
    title, health = f"GPU {gpu.index} memory", gpu.health
    if health.row_remapping_failed:
        why = "Faulty rows of its memory can no longer be replaced"
        yield Check(HEALTH, title, Status.FAIL, "row remapping failed", why, "Have the card replaced")
    elif health.row_remapping_pending:
        why = "Faulty rows of its memory are replaced at the next reset"
        mend = f"End what runs on it, then: sudo nvidia-smi -i {gpu.index} --gpu-reset"
        yield Check(HEALTH, title, Status.WARN, "row remapping is pending", why, mend)
    elif health.ecc_uncorrected:
        found = f"{health.ecc_uncorrected} memory errors that could not be corrected"
        why = "A server that meets one ends"
        mend = "Restart the machine; if they come again, have the card replaced"
        yield Check(HEALTH, title, Status.FAIL, found, why, mend)


def _check_heat(gpu: GpuSnapshot) -> Iterator[Check]:
    shown = f" at {gpu.health.temperature_celsius} °C" if gpu.health.temperature_celsius is not None else ""
    reasons = {_THROTTLING[each] for each in gpu.health.throttle_reasons or () if each in _THROTTLING}
    for meaning, mend in sorted(reasons):
        why = "It runs slower than it can, and the others that share a model wait for it"
        yield Check(HEALTH, f"GPU {gpu.index} clocks", Status.WARN, f"{meaning}{shown}", why, mend)


def _check_power(gpu: GpuSnapshot) -> Iterator[Check]:
    limit, default = gpu.power.limit_watts, gpu.power.default_limit_watts
    if limit is not None and default is not None and limit < default * _LEAST_POWER:
        mend = f"If nobody set that on purpose: sudo nvidia-smi -i {gpu.index} -pl {default:.0f}"
        found = f"limited to {limit:.0f} of {default:.0f} W"
        yield Check(HEALTH, f"GPU {gpu.index} power", Status.WARN, found, "It runs slower than it can", mend)


def _check_lanes(gpu: GpuSnapshot) -> Iterator[Check]:
    """The generation falls on an idle GPU, so only the width says something."""
    width, able = gpu.pcie.width, gpu.pcie.max_width
    if width is not None and able is not None and width < able:
        why = "Loading weights, and talking to other GPUs without NVLink, takes longer"
        mend = "Seat the card anew, or give its slot more lanes in the firmware's settings (bifurcation)"
        found = f"{width} of {able} PCIe lanes"
        yield Check(HEALTH, f"GPU {gpu.index} lanes", Status.WARN, found, why, mend)
