"""GPUs and driver, as NVIDIA's management library reports them. The only module that imports `pynvml`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sgcx.planning.snapshot import GpuSnapshot


@dataclass(frozen=True, slots=True)
class NvmlReport:
    gpus: tuple[GpuSnapshot, ...]
    driver_version: str | None
    cuda_driver_version: tuple[int, int] | None
    note: str | None


def read_nvml() -> NvmlReport:
    """Never raises for a machine without a GPU: the report's `note` says what is absent."""
    try:
        import pynvml  # most commands never look at a GPU
    except ImportError:
        return _absent("the Python module pynvml (package nvidia-ml-py) is not installed")
    try:
        with _session(pynvml):
            return _report(pynvml)
    except pynvml.NVMLError_LibraryNotFound:
        return _absent("no NVIDIA driver: libnvidia-ml.so.1 was not found")
    except pynvml.NVMLError_DriverNotLoaded:
        return _absent("the NVIDIA driver is installed but not loaded")
    except pynvml.NVMLError_LibRmVersionMismatch:
        return _absent("the NVIDIA driver was updated while loaded: restart the machine")
    except pynvml.NVMLError as error:
        return _absent(f"NVIDIA's management library failed: {error}")


def _absent(note: str) -> NvmlReport:
    return NvmlReport(gpus=(), driver_version=None, cuda_driver_version=None, note=note)


@contextmanager
def _session(nvml: ModuleType) -> Iterator[None]:
    nvml.nvmlInit()
    try:
        yield
    finally:
        nvml.nvmlShutdown()


def _report(nvml: ModuleType) -> NvmlReport:
    gpus: list[GpuSnapshot] = []
    notes: list[str] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            gpus.append(_read_gpu(nvml, index))
        except nvml.NVMLError as error:
            notes.append(f"GPU {index} is left out: {error}")
    if not gpus and not notes:
        notes.append("the NVIDIA driver is loaded but reports no GPU")
    return NvmlReport(
        gpus=tuple(gpus),
        driver_version=_driver_version(nvml),
        cuda_driver_version=_cuda_driver_version(nvml),
        note="; ".join(notes) or None,
    )


def _read_gpu(nvml: ModuleType, index: int) -> GpuSnapshot:
    """Name, memory and compute capability are needed to plan, so a GPU without them is left out by the caller."""
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    total_bytes, reserved_bytes, used_bytes = _read_memory(nvml, handle)
    return GpuSnapshot(
        index=index,
        name=_text(nvml.nvmlDeviceGetName(handle)),
        uuid=_read_uuid(nvml, handle, index),
        total_bytes=total_bytes,
        reserved_bytes=reserved_bytes,
        used_bytes=used_bytes,
        compute_capability=_read_compute_capability(nvml, handle),
    )


def _read_memory(nvml: ModuleType, handle: Any) -> tuple[int, int, int]:
    """Total, reserved and used bytes. Only the second version of the call keeps the driver's share apart."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
        return int(memory.total), int(memory.reserved), int(memory.used)
    except (nvml.NVMLError_FunctionNotFound, nvml.NVMLError_ArgumentVersionMismatch):
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        return int(memory.total), 0, int(memory.used)


def _read_uuid(nvml: ModuleType, handle: Any, index: int) -> str:
    try:
        return _text(nvml.nvmlDeviceGetUUID(handle))
    except nvml.NVMLError_NotSupported:
        return f"GPU-{index}"


def _read_compute_capability(nvml: ModuleType, handle: Any) -> tuple[int, int]:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return int(major), int(minor)


def _driver_version(nvml: ModuleType) -> str | None:
    try:
        return _text(nvml.nvmlSystemGetDriverVersion())
    except nvml.NVMLError:
        return None


def _cuda_driver_version(nvml: ModuleType) -> tuple[int, int] | None:
    """NVML writes 12.9 as 12090."""
    try:
        encoded = int(nvml.nvmlSystemGetCudaDriverVersion_v2())
    except nvml.NVMLError:
        return None
    return encoded // 1000, encoded % 1000 // 10


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
