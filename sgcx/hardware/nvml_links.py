"""How the GPUs of one machine reach each other: NVLink, or ever longer ways over PCIe."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import combinations
from types import ModuleType
from typing import Any

from sgcx.hardware.measurement import Measurement
from sgcx.hardware.nvml_gpu import decoded
from sgcx.planning.gpu_facts import GpuLink, LinkKind, PeerAccess

_LEVELS: dict[int, LinkKind] = {
    0: "board",
    10: "pcie_switch",
    20: "pcie_switches",
    30: "host_bridge",
    40: "numa_node",
    50: "system",
}
"""NVML's topology levels."""
_PEER_ACCESS: dict[int, PeerAccess] = {
    0: "ok",
    1: "chipset_not_supported",
    2: "gpu_not_supported",
    3: "topology_not_supported",
    4: "disabled",
}
"""NVML's peer-to-peer states."""
_SWITCH = "switch"


def read_links(nvml: ModuleType, indices: tuple[int, ...], measurement: Measurement) -> tuple[GpuLink, ...]:
    """Every pair of these GPUs whose way is known."""
    handles = {index: nvml.nvmlDeviceGetHandleByIndex(index) for index in indices}
    far_ends = {index: _far_ends(nvml, handle) for index, handle in handles.items()}
    links: list[GpuLink] = []
    for first, second in combinations(indices, 2):
        read = partial(_read_link, nvml, (first, second), (handles[first], handles[second]), far_ends)
        link = measurement.optional(f"gpu_links[{first},{second}]", read)
        if link is not None:
            links.append(link)
    return tuple(links)


def _read_link(
    nvml: ModuleType, ends: tuple[int, int], pair: tuple[Any, Any], far_ends: dict[int, Counter[str]]
) -> GpuLink:
    first, second = ends
    peer_access = _PEER_ACCESS.get(int(nvml.nvmlDeviceGetP2PStatus(*pair, 0)), "other")
    count = _nvlink_count(nvml, ends, pair, far_ends)
    if count:
        return GpuLink(first, second, "nvlink", nvlink_count=count, peer_access=peer_access)
    level = _LEVELS[int(nvml.nvmlDeviceGetTopologyCommonAncestor(*pair))]
    return GpuLink(first, second, level, peer_access=peer_access)


def _nvlink_count(
    nvml: ModuleType, ends: tuple[int, int], pair: tuple[Any, Any], far_ends: dict[int, Counter[str]]
) -> int:
    """Links that join the two directly; through switches, all links of the GPU that has fewer."""
    first, second = ends
    direct = far_ends[first][_bus_id(nvml.nvmlDeviceGetPciInfo(pair[1]))]
    return direct or min(far_ends[first][_SWITCH], far_ends[second][_SWITCH])


def _far_ends(nvml: ModuleType, handle: Any) -> Counter[str]:
    """What the active NVLinks of a GPU lead to: a bus id, or a switch. Empty where there is no NVLink."""
    ends: Counter[str] = Counter()
    for link in range(nvml.NVML_NVLINK_MAX_LINKS):
        try:
            if nvml.nvmlDeviceGetNvLinkState(handle, link):
                ends[_far_end(nvml, handle, link)] += 1
        except nvml.NVMLError:
            break
    return ends


def _far_end(nvml: ModuleType, handle: Any, link: int) -> str:
    if nvml.nvmlDeviceGetNvLinkRemoteDeviceType(handle, link) == nvml.NVML_NVLINK_DEVICE_TYPE_SWITCH:
        return _SWITCH
    return _bus_id(nvml.nvmlDeviceGetNvLinkRemotePciInfo(handle, link))


def _bus_id(pci: Any) -> str:
    return decoded(pci.busId).lower()
