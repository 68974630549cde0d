"""The processor and its NUMA nodes, from the kernel's files."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from sgcx.planning.host_facts import CpuFacts, NumaNode

ROOT = Path("/")
_FLAGS_THAT_MATTER = (
    "avx2", "avx512f", "avx512bw", "avx512_bf16", "avx512_vbmi", "avx512_vnni", "amx_tile", "amx_int8", "amx_bf16",
    "asimd", "sve", "i8mm", "bf16",
)  # fmt: skip
_NODE = re.compile(r"node(\d+)")
_KIB = 1 << 10


def read_cpu_model(root: Path = ROOT) -> str:
    """The kernel's name for the processor: `platform.processor()` is empty on most Linux systems."""
    try:
        lines = (root / "proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()


def read_cpu(root: Path = ROOT) -> CpuFacts:
    packages = {path.read_text().strip() for path in _cpus(root).glob("cpu[0-9]*/topology/physical_package_id")}
    return CpuFacts(sockets=len(packages) or None, flags=_flags(root))


def _cpus(root: Path) -> Path:
    return root / "sys/devices/system/cpu"


def _flags(root: Path) -> tuple[str, ...] | None:
    """ARM calls them features."""
    for line in (root / "proc/cpuinfo").read_text(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            present = set(value.split())
            return tuple(flag for flag in _FLAGS_THAT_MATTER if flag in present)
    return None


def read_numa_nodes(root: Path = ROOT) -> tuple[NumaNode, ...]:
    folder = root / "sys/devices/system/node"
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _NODE.fullmatch(path.name))]
    return tuple(
        NumaNode(index, (path / "cpulist").read_text().strip(), _node_memory_bytes(path / "meminfo"))
        for index, path in sorted(found)
    )


def _node_memory_bytes(meminfo: Path) -> int | None:
    match = re.search(r"MemTotal:\s+(\d+) kB", meminfo.read_text())
    return int(match[1]) * _KIB if match else None


def read_pci_numa_node(pci_bus_id: str, root: Path = ROOT) -> int | None:
    """`pci_bus_id` as NVML writes it, `00000000:3B:00.0`; the kernel's domain has four digits."""
    domain, _, rest = pci_bus_id.lower().partition(":")
    node = int((root / "sys/bus/pci/devices" / f"{domain[-4:]}:{rest}" / "numa_node").read_text())
    return node if node >= 0 else None
