"""One GPU through NVML. What planning needs must be there; everything else may be missing."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import Structure, byref, c_ubyte, c_uint, c_uint32
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from sgcx.hardware.measurement import Measurement
from sgcx.planning.gpu_facts import (
    ComputeMode,
    FabricState,
    GpuClocks,
    GpuHealth,
    GpuPower,
    GpuProcess,
    MigInstance,
    PcieLink,
)
from sgcx.planning.snapshot import GpuSnapshot

T = TypeVar("T")
_MILLIWATTS = 1000
_COMPUTE_MODES: tuple[ComputeMode, ...] = ("default", "exclusive_thread", "prohibited", "exclusive_process")
_FABRIC_STATES: tuple[FabricState, ...] = ("not_supported", "not_started", "in_progress", "completed")
_THROTTLE_REASONS = {
    "sw_power_cap": "SwPowerCap",
    "hw_slowdown": "HwSlowdown",
    "sync_boost": "SyncBoost",
    "sw_thermal_slowdown": "SwThermalSlowdown",
    "hw_thermal_slowdown": "HwThermalSlowdown",
    "hw_power_brake_slowdown": "HwPowerBrakeSlowdown",
}


class _FabricInfo(Structure):
    """`nvmlGpuFabricInfo_t`, as nvml.h has it. nvidia-ml-py before 13.615 makes the UUID 64 bytes too long."""

    _fields_ = (
        ("cluster_uuid", c_ubyte * 16),
        ("status", c_uint),
        ("clique_id", c_uint32),
        ("state", c_ubyte),
    )


def decoded(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


@dataclass(frozen=True, slots=True)
class GpuReader:
    nvml: ModuleType
    handle: Any
    index: int
    measurement: Measurement

    def read(self) -> GpuSnapshot:
        """Raises NVMLError where name, memory or compute capability cannot be had: no plan can use such a GPU."""
        nvml, handle = self.nvml, self.handle
        mig_enabled = self._optional("mig_enabled", lambda: bool(nvml.nvmlDeviceGetMigMode(handle)[0]))
        memory = self._memory(mig_enabled=bool(mig_enabled))
        return GpuSnapshot(
            index=self.index,
            name=decoded(nvml.nvmlDeviceGetName(handle)),
            uuid=self._optional("uuid", lambda: decoded(nvml.nvmlDeviceGetUUID(handle))) or f"GPU-{self.index}",
            total_bytes=memory.total_bytes,
            reserved_bytes=memory.reserved_bytes,
            used_bytes=memory.used_bytes,
            compute_capability=self._compute_capability(),
            shares_host_memory=memory.is_hosts,
            pci_bus_id=self._optional("pci_bus_id", lambda: decoded(nvml.nvmlDeviceGetPciInfo(handle).busId)),
            pcie=self._pcie(),
            power=self._power(),
            clocks=self._clocks(),
            health=self._health(),
            processes=self._optional("processes", self._processes),
            mig_enabled=mig_enabled,
            mig_instances=(self._optional("mig_instances", self._mig_instances) or ()) if mig_enabled else (),
            compute_mode=self._optional("compute_mode", lambda: _COMPUTE_MODES[nvml.nvmlDeviceGetComputeMode(handle)]),
            persistence_mode=self._flag("persistence_mode", "nvmlDeviceGetPersistenceMode"),
            drives_display=self._flag("drives_display", "nvmlDeviceGetDisplayActive"),
            fabric_state=self._optional("fabric_state", self._fabric_state),
        )

    def _optional(self, field: str, read: Callable[[], T]) -> T | None:
        return self.measurement.optional(f"gpus[{self.index}].{field}", read)

    def _number(self, field: str, function: str, *arguments: object) -> int | None:
        return self._optional(field, lambda: int(getattr(self.nvml, function)(self.handle, *arguments)))

    def _flag(self, field: str, function: str) -> bool | None:
        return self._optional(field, lambda: bool(getattr(self.nvml, function)(self.handle)))

    def _watts(self, field: str, function: str) -> float | None:
        return self._optional(f"power.{field}", lambda: getattr(self.nvml, function)(self.handle) / _MILLIWATTS)

    def _memory(self, *, mig_enabled: bool) -> _Memory:
        """A GPU that has no memory of its own, such as a GB10, is said to use the machine's."""
        nvml = self.nvml
        try:
            return _read_memory(nvml, self.handle)
        except nvml.NVMLError_NotSupported as error:
            if mig_enabled:
                raise
            self.measurement.miss(f"gpus[{self.index}].total_bytes", str(error))
            return _read_hosts_memory()

    def _compute_capability(self) -> tuple[int, int]:
        major, minor = self.nvml.nvmlDeviceGetCudaComputeCapability(self.handle)
        return int(major), int(minor)

    def _pcie(self) -> PcieLink:
        return PcieLink(
            generation=self._number("pcie.generation", "nvmlDeviceGetCurrPcieLinkGeneration"),
            width=self._number("pcie.width", "nvmlDeviceGetCurrPcieLinkWidth"),
            max_generation=self._number("pcie.max_generation", "nvmlDeviceGetMaxPcieLinkGeneration"),
            max_width=self._number("pcie.max_width", "nvmlDeviceGetMaxPcieLinkWidth"),
        )

    def _power(self) -> GpuPower:
        limits = self._optional(
            "power.max_limit_watts",
            lambda: self.nvml.nvmlDeviceGetPowerManagementLimitConstraints(self.handle)[1] / _MILLIWATTS,
        )
        return GpuPower(
            draw_watts=self._watts("draw_watts", "nvmlDeviceGetPowerUsage"),
            limit_watts=self._watts("limit_watts", "nvmlDeviceGetEnforcedPowerLimit"),
            default_limit_watts=self._watts("default_limit_watts", "nvmlDeviceGetPowerManagementDefaultLimit"),
            max_limit_watts=limits,
        )

    def _clocks(self) -> GpuClocks:
        sm, memory = self.nvml.NVML_CLOCK_SM, self.nvml.NVML_CLOCK_MEM
        return GpuClocks(
            sm_mhz=self._number("clocks.sm_mhz", "nvmlDeviceGetClockInfo", sm),
            max_sm_mhz=self._number("clocks.max_sm_mhz", "nvmlDeviceGetMaxClockInfo", sm),
            memory_mhz=self._number("clocks.memory_mhz", "nvmlDeviceGetClockInfo", memory),
            max_memory_mhz=self._number("clocks.max_memory_mhz", "nvmlDeviceGetMaxClockInfo", memory),
        )

    def _health(self) -> GpuHealth:
        nvml, handle = self.nvml, self.handle
        remapped = self._optional("health.row_remapping_pending", lambda: nvml.nvmlDeviceGetRemappedRows(handle))
        ecc = self._optional("health.ecc_enabled", lambda: bool(nvml.nvmlDeviceGetEccMode(handle)[0]))
        return GpuHealth(
            temperature_celsius=self._number(
                "health.temperature_celsius", "nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU
            ),
            slowdown_celsius=self._number(
                "health.slowdown_celsius", "nvmlDeviceGetTemperatureThreshold", nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN
            ),
            throttle_reasons=self._optional("health.throttle_reasons", self._throttle_reasons),
            ecc_enabled=ecc,
            ecc_corrected=self._ecc_errors("corrected", nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED) if ecc else None,
            ecc_uncorrected=self._ecc_errors("uncorrected", nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED) if ecc else None,
            row_remapping_pending=None if remapped is None else bool(remapped[2]),
            row_remapping_failed=None if remapped is None else bool(remapped[3]),
        )

    def _ecc_errors(self, kind: str, error_type: int) -> int | None:
        counter = self.nvml.NVML_VOLATILE_ECC
        return self._number(f"health.ecc_{kind}", "nvmlDeviceGetTotalEccErrors", error_type, counter)

    def _throttle_reasons(self) -> tuple[str, ...]:
        bits = int(self.nvml.nvmlDeviceGetCurrentClocksEventReasons(self.handle))
        return tuple(
            name
            for name, suffix in _THROTTLE_REASONS.items()
            if bits & int(getattr(self.nvml, f"nvmlClocksEventReason{suffix}"))
        )

    def _processes(self) -> tuple[GpuProcess, ...]:
        """One that computes and draws is in both lists."""
        nvml, handle = self.nvml, self.handle
        listed = [
            *nvml.nvmlDeviceGetComputeRunningProcesses(handle),
            *nvml.nvmlDeviceGetGraphicsRunningProcesses(handle),
        ]
        used = {int(each.pid): each.usedGpuMemory for each in listed}
        return tuple(
            GpuProcess(pid, _program_name(pid), None if used_bytes is None else int(used_bytes))
            for pid, used_bytes in sorted(used.items())
        )

    def _mig_instances(self) -> tuple[MigInstance, ...]:
        nvml = self.nvml
        instances: list[MigInstance] = []
        for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(self.handle)):
            try:
                instance = nvml.nvmlDeviceGetMigDeviceHandleByIndex(self.handle, index)
            except nvml.NVMLError_NotFound:
                continue
            uuid, name = decoded(nvml.nvmlDeviceGetUUID(instance)), decoded(nvml.nvmlDeviceGetName(instance))
            instances.append(MigInstance(uuid, name, int(nvml.nvmlDeviceGetMemoryInfo(instance).total)))
        return tuple(instances)

    def _fabric_state(self) -> FabricState:
        info = _FabricInfo()
        self.nvml.nvmlDeviceGetGpuFabricInfo(self.handle, byref(info))
        return _FABRIC_STATES[int(info.state)]


@dataclass(frozen=True, slots=True)
class _Memory:
    total_bytes: int
    reserved_bytes: int
    used_bytes: int
    is_hosts: bool = False


def _read_memory(nvml: ModuleType, handle: Any) -> _Memory:
    """Only the second version of the call keeps the driver's share apart."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
        return _Memory(int(memory.total), int(memory.reserved), int(memory.used))
    except (nvml.NVMLError_FunctionNotFound, nvml.NVMLError_ArgumentVersionMismatch):
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        return _Memory(int(memory.total), 0, int(memory.used))


def _read_hosts_memory() -> _Memory:
    import psutil

    memory = psutil.virtual_memory()
    return _Memory(memory.total, 0, memory.total - memory.available, is_hosts=True)


def _program_name(pid: int) -> str | None:
    """None for a process of another user's container, which this one cannot see."""
    import psutil

    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return None
