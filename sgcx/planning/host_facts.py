"""What the operating system tells about one machine, by topic. None means that it does not tell.

Nothing here names the machine, its users or their folders: a snapshot may be shown to others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Limit = int | Literal["unlimited"]
FileSystemPurpose = Literal["data", "weights", "temporary", "shared_memory"]
Container = Literal["docker", "podman", "kubernetes", "lxc", "other"]


@dataclass(frozen=True, slots=True)
class CpuFacts:
    sockets: int | None = None
    flags: tuple[str, ...] | None = None
    """Those instruction sets that decide how a model can be run on the processor, as Linux writes them."""


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    limit_bytes: int | None = None
    """What a container or a service manager allows; None without a limit."""
    cgroup_version: int | None = None
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class NumaNode:
    index: int
    cpus: str
    """As Linux writes it: `0-31,64-95`."""
    memory_total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class FileSystem:
    purpose: FileSystemPurpose
    kind: str
    """`ext4`, `xfs`, `nfs4`, `overlay`, `tmpfs` …"""
    total_bytes: int
    free_bytes: int
    rotational: bool | None = None
    """A disk with moving parts."""
    writable: bool | None = None


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    open_files: Limit | None = None
    """The hard limit: a process may raise its own up to it."""
    locked_memory_bytes: Limit | None = None


@dataclass(frozen=True, slots=True)
class NetworkAdapter:
    name: str
    kind: Literal["ethernet", "infiniband", "roce"]
    speed_megabits: int | None = None
    is_up: bool | None = None


@dataclass(frozen=True, slots=True)
class SystemFacts:
    distribution: str | None = None
    kernel: str | None = None
    glibc: str | None = None
    is_wsl: bool = False
    container: Container | None = None
    """None outside a container."""
    iommu: str | None = None
    """The kernel's command line about it, such as `iommu=pt`; None where it says nothing."""
    fabric_manager: Literal["active", "inactive"] | None = None
    """NVSwitch machines need it; None where it is not installed."""
