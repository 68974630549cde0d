"""Measures this machine: GPUs through NVML, the rest through psutil."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from sgcx.hardware.nvml import read_nvml
from sgcx.planning.snapshot import HardwareSnapshot


def detect_hardware(disk_path: Path) -> HardwareSnapshot:
    """`disk_path` is where large files will go; it need not exist yet."""
    import psutil

    nvml = read_nvml()
    memory = psutil.virtual_memory()
    logical_cores = psutil.cpu_count(logical=True) or 1
    return HardwareSnapshot(
        gpus=nvml.gpus,
        gpu_note=nvml.note,
        driver_version=nvml.driver_version,
        cuda_driver_version=nvml.cuda_driver_version,
        cpu_model=_cpu_model(Path("/proc/cpuinfo")),
        physical_cores=psutil.cpu_count(logical=False) or logical_cores,
        logical_cores=logical_cores,
        memory_total_bytes=memory.total,
        memory_available_bytes=memory.available,
        disk_free_bytes=psutil.disk_usage(str(_nearest_existing(disk_path))).free,
        platform=sys.platform,
        architecture=platform.machine(),
    )


def _cpu_model(cpuinfo: Path) -> str:
    """The kernel's name for the processor: `platform.processor()` is empty on most Linux systems."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()


def _nearest_existing(path: Path) -> Path:
    absolute = path.absolute()
    return next(candidate for candidate in (absolute, *absolute.parents) if candidate.exists())
