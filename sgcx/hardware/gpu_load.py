"""What GPUs do at this moment, read so cheaply that it can be asked every second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from sgcx.hardware.nvml_gpu import decoded

T = TypeVar("T")
_MILLIWATTS = 1000


@dataclass(frozen=True, slots=True)
class GpuLoad:
    """None: this GPU does not say. `busy_percent`: of the last moments, in which some kernel ran."""

    index: int
    name: str
    busy_percent: int | None
    used_bytes: int | None
    total_bytes: int | None
    power_watts: float | None
    power_limit_watts: float | None
    temperature_celsius: int | None


def read_gpu_loads() -> tuple[GpuLoad, ...]:
    """Empty on a machine without a usable NVIDIA driver."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_read(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _read(nvml: ModuleType, index: int) -> GpuLoad:
    handle: Any = nvml.nvmlDeviceGetHandleByIndex(index)

    def optional(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except nvml.NVMLError:
            return None

    memory = optional(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    return GpuLoad(
        index=index,
        name=decoded(nvml.nvmlDeviceGetName(handle)),
        busy_percent=optional(lambda: int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)),
        used_bytes=None if memory is None else int(memory.used),
        total_bytes=None if memory is None else int(memory.total),
        power_watts=optional(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / _MILLIWATTS),
        power_limit_watts=optional(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / _MILLIWATTS),
        temperature_celsius=optional(lambda: int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))),
    )
