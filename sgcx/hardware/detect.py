"""Measures this machine: GPUs through NVML, the rest through psutil and the kernel's files."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from sgcx.hardware.file_systems import read_file_system
from sgcx.hardware.measurement import Measurement
from sgcx.hardware.memory_limit import cgroup_version, memory_limit_bytes
from sgcx.hardware.network import read_network
from sgcx.hardware.nvml import read_nvml
from sgcx.hardware.operating_system import read_limits, read_system, read_xid_errors
from sgcx.hardware.processor import read_cpu, read_cpu_model, read_numa_nodes, read_pci_numa_node
from sgcx.paths import weights_directory
from sgcx.planning.host_facts import CpuFacts, FileSystem, FileSystemPurpose, MemoryFacts, ProcessLimits, SystemFacts
from sgcx.planning.snapshot import GpuSnapshot, HardwareSnapshot


def detect_hardware(disk_path: Path) -> HardwareSnapshot:
    """`disk_path` is where sgcx keeps its data; it need not exist yet."""
    import psutil

    measurement = Measurement()
    nvml = read_nvml(measurement)
    memory = psutil.virtual_memory()
    logical_cores = psutil.cpu_count(logical=True) or 1
    file_systems = _file_systems(disk_path, measurement)
    return HardwareSnapshot(
        gpus=tuple(_placed(gpu, measurement) for gpu in nvml.gpus),
        gpu_note=nvml.note,
        driver_version=nvml.driver_version,
        cuda_driver_version=nvml.cuda_driver_version,
        cpu_model=read_cpu_model(),
        physical_cores=psutil.cpu_count(logical=False) or logical_cores,
        logical_cores=logical_cores,
        memory_total_bytes=memory.total,
        memory_available_bytes=memory.available,
        disk_free_bytes=next((each.free_bytes for each in file_systems if each.purpose == "data"), 0),
        platform=sys.platform,
        architecture=platform.machine(),
        cpu=measurement.optional("cpu", read_cpu) or CpuFacts(),
        memory=measurement.optional("memory", _memory) or MemoryFacts(),
        numa_nodes=measurement.optional("numa_nodes", read_numa_nodes) or (),
        gpu_links=nvml.gpu_links,
        xid_errors=measurement.optional("xid_errors", read_xid_errors),
        file_systems=file_systems,
        limits=measurement.optional("limits", read_limits) or ProcessLimits(),
        network=measurement.optional("network", read_network) or (),
        system=measurement.optional("system", read_system) or SystemFacts(),
        missing=measurement.missing,
    )


def _placed(gpu: GpuSnapshot, measurement: Measurement) -> GpuSnapshot:
    if gpu.pci_bus_id is None:
        return gpu
    bus_id = gpu.pci_bus_id
    node = measurement.optional(f"gpus[{gpu.index}].numa_node", lambda: read_pci_numa_node(bus_id))
    return replace(gpu, numa_node=node)


def _memory() -> MemoryFacts:
    import psutil

    swap = psutil.swap_memory()
    return MemoryFacts(memory_limit_bytes(), cgroup_version(), swap.total, swap.free)


def _file_systems(disk_path: Path, measurement: Measurement) -> tuple[FileSystem, ...]:
    places: dict[FileSystemPurpose, Path] = {
        "data": disk_path,
        "weights": weights_directory(os.environ),
        "temporary": Path(tempfile.gettempdir()),
        "shared_memory": Path("/dev/shm"),
    }
    found: list[FileSystem] = []
    for purpose, path in places.items():
        file_system = measurement.optional(f"file_systems.{purpose}", partial(read_file_system, purpose, path))
        if file_system is not None:
            found.append(file_system)
    return tuple(found)
