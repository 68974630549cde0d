"""GPUs and driver, as NVIDIA's management library reports them. `gpu_load.py` asks it for the moment only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from sgcx.hardware.measurement import Measurement
from sgcx.hardware.nvml_gpu import GpuReader, decoded
from sgcx.hardware.nvml_links import read_links
from sgcx.planning.gpu_facts import GpuLink
from sgcx.planning.snapshot import GpuSnapshot


@dataclass(frozen=True, slots=True)
class NvmlReport:
    gpus: tuple[GpuSnapshot, ...]
    gpu_links: tuple[GpuLink, ...]
    driver_version: str | None
    cuda_driver_version: tuple[int, int] | None
    note: str | None


def read_nvml(measurement: Measurement | None = None) -> NvmlReport:
    """Never raises for a machine without a GPU: the report's `note` says what is absent."""
    try:
        import pynvml  # most commands never look at a GPU
    except ImportError:
        return _absent("the Python module pynvml (package nvidia-ml-py) is not installed")
    try:
        with _session(pynvml):
            return _report(pynvml, measurement or Measurement())
    except pynvml.NVMLError_LibraryNotFound:
        return _absent("no NVIDIA driver: libnvidia-ml.so.1 was not found")
    except pynvml.NVMLError_DriverNotLoaded:
        return _absent("the NVIDIA driver is installed but not loaded")
    except pynvml.NVMLError_LibRmVersionMismatch:
        return _absent("the NVIDIA driver was updated while loaded: restart the machine")
    except pynvml.NVMLError as error:
        return _absent(f"NVIDIA's management library failed: {error}")


def _absent(note: str) -> NvmlReport:
    return NvmlReport(gpus=(), gpu_links=(), driver_version=None, cuda_driver_version=None, note=note)


@contextmanager
def _session(nvml: ModuleType) -> Iterator[None]:
    nvml.nvmlInit()
    try:
        yield
    finally:
        nvml.nvmlShutdown()


def _report(nvml: ModuleType, measurement: Measurement) -> NvmlReport:
    gpus: list[GpuSnapshot] = []
    notes: list[str] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            gpus.append(GpuReader(nvml, handle, index, measurement).read())
        except nvml.NVMLError as error:
            notes.append(f"GPU {index} is left out: {error}")
    if not gpus and not notes:
        notes.append("the NVIDIA driver is loaded but reports no GPU")
    return NvmlReport(
        gpus=tuple(gpus),
        gpu_links=read_links(nvml, tuple(gpu.index for gpu in gpus), measurement),
        driver_version=measurement.optional("driver_version", lambda: decoded(nvml.nvmlSystemGetDriverVersion())),
        cuda_driver_version=measurement.optional("cuda_driver_version", lambda: _cuda_driver_version(nvml)),
        note="; ".join(notes) or None,
    )


def _cuda_driver_version(nvml: ModuleType) -> tuple[int, int]:
    """NVML writes 12.9 as 12090."""
    encoded = int(nvml.nvmlSystemGetCudaDriverVersion_v2())
    return encoded // 1000, encoded % 1000 // 10
