"""What a machine has, measured once: the planner's only view of the hardware.

A snapshot survives a round trip through JSON, so a plan can be made for a machine that is elsewhere. It holds no
secret, no name of the machine or its users, and no path.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations

from sgcx.planning.gpu_facts import (
    ComputeMode,
    FabricState,
    GpuClocks,
    GpuHealth,
    GpuLink,
    GpuPower,
    GpuProcess,
    MigInstance,
    PcieLink,
    XidError,
)
from sgcx.planning.host_facts import (
    CpuFacts,
    FileSystem,
    FileSystemPurpose,
    MemoryFacts,
    NetworkAdapter,
    NumaNode,
    ProcessLimits,
    SystemFacts,
)
from sgcx.planning.table_codec import Positive, decode_table, encode_table

FORMAT = 2
"""1 had only what stands before `cpu`, and did not name itself."""


@dataclass(frozen=True, slots=True)
class GpuSnapshot:
    index: int
    """NVML's index, which is PCI bus order."""
    name: str
    uuid: str
    total_bytes: Positive
    reserved_bytes: int
    """Held back by the driver: part of `total_bytes`, of use to nobody."""
    used_bytes: int
    """Taken by other processes."""
    compute_capability: tuple[int, int]
    shares_host_memory: bool = False
    """It has no memory of its own: `total_bytes` and `used_bytes` are the machine's."""
    pci_bus_id: str | None = None
    numa_node: int | None = None
    pcie: PcieLink = field(default_factory=PcieLink)
    power: GpuPower = field(default_factory=GpuPower)
    clocks: GpuClocks = field(default_factory=GpuClocks)
    health: GpuHealth = field(default_factory=GpuHealth)
    processes: tuple[GpuProcess, ...] | None = None
    mig_enabled: bool | None = None
    mig_instances: tuple[MigInstance, ...] = ()
    compute_mode: ComputeMode | None = None
    persistence_mode: bool | None = None
    drives_display: bool | None = None
    fabric_state: FabricState | None = None

    @property
    def free_bytes(self) -> int:
        return max(0, self.total_bytes - self.reserved_bytes - self.used_bytes)


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that could not be measured: which field, written `gpus[0].power.limit_watts`, and why."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class HardwareSnapshot:
    gpus: tuple[GpuSnapshot, ...]
    gpu_note: str | None
    """Why `gpus` is empty or incomplete; None when nothing is amiss."""
    driver_version: str | None
    cuda_driver_version: tuple[int, int] | None
    """The newest CUDA that the driver runs."""
    cpu_model: str
    physical_cores: Positive
    logical_cores: Positive
    memory_total_bytes: int
    memory_available_bytes: int
    disk_free_bytes: int
    """Free where sgcx keeps its data."""
    platform: str
    architecture: str
    cpu: CpuFacts = field(default_factory=CpuFacts)
    memory: MemoryFacts = field(default_factory=MemoryFacts)
    numa_nodes: tuple[NumaNode, ...] = ()
    gpu_links: tuple[GpuLink, ...] = ()
    xid_errors: tuple[XidError, ...] | None = None
    """None where the kernel's log cannot be read."""
    file_systems: tuple[FileSystem, ...] = ()
    limits: ProcessLimits = field(default_factory=ProcessLimits)
    network: tuple[NetworkAdapter, ...] = ()
    system: SystemFacts = field(default_factory=SystemFacts)
    missing: tuple[Missing, ...] = ()

    def link(self, first: int, second: int) -> GpuLink | None:
        """Between the GPUs of these indices, in either order."""
        pair = (min(first, second), max(first, second))
        return next((link for link in self.gpu_links if (link.first, link.second) == pair), None)

    def all_linked_by_nvlink(self, gpu_indices: Iterable[int]) -> bool:
        links = [self.link(first, second) for first, second in combinations(sorted(gpu_indices), 2)]
        return all(link is not None and link.kind == "nvlink" for link in links)

    def file_system(self, purpose: FileSystemPurpose) -> FileSystem | None:
        return next((each for each in self.file_systems if each.purpose == purpose), None)

    @property
    def usable_memory_bytes(self) -> int:
        """Available, and allowed to this process."""
        limit_bytes = self.memory.limit_bytes
        return min(self.memory_available_bytes, self.memory_available_bytes if limit_bytes is None else limit_bytes)

    def to_json(self) -> dict[str, object]:
        return {"format": FORMAT, **encode_table(self)}


def parse_snapshot(value: object, *, origin: str = "hardware snapshot") -> HardwareSnapshot:
    """The inverse of `to_json`; `origin` is the file name that errors show. Keys of a later sgcx are passed over."""
    return decode_table(HardwareSnapshot, value, origin, newest_format=FORMAT)
