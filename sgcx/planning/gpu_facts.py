"""What NVIDIA's library tells about one GPU, by topic. None means that it does not tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ComputeMode = Literal["default", "exclusive_thread", "prohibited", "exclusive_process"]
FabricState = Literal["not_supported", "not_started", "in_progress", "completed"]
LinkKind = Literal["nvlink", "board", "pcie_switch", "pcie_switches", "host_bridge", "numa_node", "system"]
"""The nearest way between two GPUs. All but the first are PCIe, ever farther: `nvidia-smi topo` writes them
NV#, PIX (one board or one switch), PXB, PHB, NODE and SYS."""
PeerAccess = Literal["ok", "chipset_not_supported", "gpu_not_supported", "topology_not_supported", "disabled", "other"]


@dataclass(frozen=True, slots=True)
class PcieLink:
    """The present generation falls while a GPU idles; the width does not."""

    generation: int | None = None
    width: int | None = None
    max_generation: int | None = None
    """What GPU and slot can do together."""
    max_width: int | None = None


@dataclass(frozen=True, slots=True)
class GpuPower:
    draw_watts: float | None = None
    limit_watts: float | None = None
    default_limit_watts: float | None = None
    max_limit_watts: float | None = None


@dataclass(frozen=True, slots=True)
class GpuClocks:
    sm_mhz: int | None = None
    max_sm_mhz: int | None = None
    memory_mhz: int | None = None
    max_memory_mhz: int | None = None


@dataclass(frozen=True, slots=True)
class GpuHealth:
    temperature_celsius: int | None = None
    slowdown_celsius: int | None = None
    """From here on the GPU slows itself."""
    throttle_reasons: tuple[str, ...] | None = None
    """NVML's words for what holds the clocks down now, idleness and plain clock settings left out."""
    ecc_enabled: bool | None = None
    ecc_corrected: int | None = None
    """Since the driver was loaded, as the next one."""
    ecc_uncorrected: int | None = None
    row_remapping_pending: bool | None = None
    """Faulty memory rows are replaced at the next reset."""
    row_remapping_failed: bool | None = None


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process that holds memory of the GPU. Its name is the program's, without arguments."""

    pid: int
    name: str | None = None
    used_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class MigInstance:
    uuid: str
    name: str
    total_bytes: int


@dataclass(frozen=True, slots=True)
class GpuLink:
    """Between two GPUs, by their indices, `first` < `second`."""

    first: int
    second: int
    kind: LinkKind
    nvlink_count: int | None = None
    """Active links of this pair; through a switch, those of the GPU with fewer."""
    peer_access: PeerAccess | None = None


@dataclass(frozen=True, slots=True)
class XidError:
    """An error that the driver wrote to the kernel's log."""

    pci_bus_id: str
    code: int
    count: int
