"""A hardware snapshot as lines for people: a label, and what is there."""

from __future__ import annotations

from collections.abc import Iterator

from sgcx.byte_sizes import GIB, MIB, gib
from sgcx.planning.gpu_facts import GpuLink, GpuProcess, LinkKind, PcieLink
from sgcx.planning.host_facts import FileSystem, Limit, MemoryFacts, NetworkAdapter, NumaNode
from sgcx.planning.snapshot import GpuSnapshot, HardwareSnapshot

Line = tuple[str, str]

_LINK_NAMES: dict[LinkKind, str] = {
    "nvlink": "NVLink",
    "board": "one board",
    "pcie_switch": "one PCIe switch",
    "pcie_switches": "several PCIe switches",
    "host_bridge": "PCIe through the processor",
    "numa_node": "PCIe across host bridges",
    "system": "PCIe across the sockets",
}
_PURPOSES = {"data": "sgcx's data", "weights": "weights", "temporary": "temporary files", "shared_memory": "/dev/shm"}


def describe(snapshot: HardwareSnapshot) -> Iterator[Line]:
    for gpu in snapshot.gpus:
        yield from _describe_gpu(gpu)
    if snapshot.gpu_note:
        yield "GPU", snapshot.gpu_note
    yield from _labelled("Links", list(_link_groups(snapshot.gpu_links)))
    if snapshot.driver_version:
        cuda = ".".join(map(str, snapshot.cuda_driver_version or ())) or "unknown"
        yield "Driver", f"{snapshot.driver_version}, runs CUDA up to {cuda}"
    for error in snapshot.xid_errors or ():
        yield "Xid", f"{error.code} on {error.pci_bus_id}, {error.count}× since the machine started"
    yield from _describe_host(snapshot)
    unknown = sorted({missing.reason for missing in snapshot.missing})
    if unknown:
        yield "Unknown", f"{len(snapshot.missing)} facts ({'; '.join(unknown)}); --json names them"


def _describe_gpu(gpu: GpuSnapshot) -> Iterator[Line]:
    capability = ".".join(map(str, gpu.compute_capability))
    shared = ", shared with the processor" if gpu.shares_host_memory else ""
    memory = f"{gib(gpu.free_bytes)} of {gib(gpu.total_bytes)} free{shared}"
    yield f"GPU {gpu.index}", f"{gpu.name}, {memory}, compute capability {capability}"
    details = list(_details(gpu))
    if details:
        yield "", " · ".join(details)
    for process in gpu.processes or ():
        yield "", _process(process)
    for instance in gpu.mig_instances:
        yield "", f"MIG instance {instance.name}, {gib(instance.total_bytes)}"


def _details(gpu: GpuSnapshot) -> Iterator[str]:
    pcie, power, health = gpu.pcie, gpu.power, gpu.health
    if pcie.max_width:
        yield f"PCIe {_pcie(pcie)}"
    if power.limit_watts:
        now = f"{power.draw_watts:.0f} of " if power.draw_watts is not None else ""
        yield f"{now}{power.limit_watts:.0f} W"
    if health.temperature_celsius is not None:
        yield f"{health.temperature_celsius} °C"
    if health.ecc_enabled is not None:
        errors = f", {health.ecc_uncorrected} uncorrected errors" if health.ecc_uncorrected else ""
        yield f"ECC {'on' if health.ecc_enabled else 'off'}{errors}"
    if gpu.numa_node is not None:
        yield f"NUMA node {gpu.numa_node}"
    yield from _restrictions(gpu)


def _restrictions(gpu: GpuSnapshot) -> Iterator[str]:
    if gpu.health.throttle_reasons:
        yield f"held back by {', '.join(gpu.health.throttle_reasons)}"
    if gpu.mig_enabled:
        yield "MIG on"
    if gpu.compute_mode not in (None, "default"):
        yield f"compute mode {gpu.compute_mode}"
    if gpu.drives_display:
        yield "drives a display"
    if gpu.fabric_state not in (None, "not_supported", "completed"):
        yield f"NVLink fabric {gpu.fabric_state}"


def _pcie(pcie: PcieLink) -> str:
    able = f"{pcie.max_generation} x{pcie.max_width}"
    if pcie.width in (None, pcie.max_width):
        return able
    return f"{pcie.generation} x{pcie.width}, able to do {able}"


def _process(process: GpuProcess) -> str:
    used = f" holds {gib(process.used_bytes)}" if process.used_bytes is not None else ""
    return f"{process.name or 'a process'} (pid {process.pid}){used}"


def _link_groups(links: tuple[GpuLink, ...]) -> Iterator[str]:
    """Pairs that are joined alike, on one line."""
    groups: dict[str, list[GpuLink]] = {}
    for link in links:
        groups.setdefault(_link_text(link), []).append(link)
    for text, members in groups.items():
        if len(members) == len(links):
            yield f"all GPUs by {text}"
        else:
            yield f"{', '.join(f'{link.first}-{link.second}' for link in members)} by {text}"


def _link_text(link: GpuLink) -> str:
    count = f" ({link.nvlink_count} links)" if link.nvlink_count else ""
    refused = "" if link.peer_access in (None, "ok") else ", without peer access"
    return f"{_LINK_NAMES[link.kind]}{count}{refused}"


def _describe_host(snapshot: HardwareSnapshot) -> Iterator[Line]:
    sockets = f", {snapshot.cpu.sockets} sockets" if (snapshot.cpu.sockets or 1) > 1 else ""
    cores = f"{snapshot.physical_cores} cores, {snapshot.logical_cores} threads"
    yield "Processor", f"{snapshot.cpu_model}, {cores}{sockets}"
    if snapshot.cpu.flags:
        yield "", " ".join(snapshot.cpu.flags)
    if len(snapshot.numa_nodes) > 1:
        yield from _labelled("NUMA", [_numa_node(each) for each in snapshot.numa_nodes])
    yield "Memory", f"{gib(snapshot.memory_available_bytes)} of {gib(snapshot.memory_total_bytes)} available"
    yield from _labelled("", _memory(snapshot.memory, snapshot.memory_total_bytes))
    yield from _labelled("Disk", [_file_system(each) for each in snapshot.file_systems])
    yield from _labelled("Network", [_adapter(each) for each in snapshot.network])
    limits = snapshot.limits
    yield "Limits", f"{_limit(limits.open_files)} open files, {_limit_bytes(limits.locked_memory_bytes)} locked memory"
    yield "System", ", ".join(_system(snapshot))


def _labelled(label: str, texts: list[str]) -> Iterator[Line]:
    for index, text in enumerate(texts):
        yield ("" if index else label), text


def _numa_node(node: NumaNode) -> str:
    memory = "" if node.memory_total_bytes is None else f", {gib(node.memory_total_bytes)}"
    return f"node {node.index}: processors {node.cpus}{memory}"


def _memory(memory: MemoryFacts, total_bytes: int) -> list[str]:
    """What else there is to say of it."""
    lines: list[str] = []
    if memory.limit_bytes is not None and memory.limit_bytes < total_bytes:
        version = "" if memory.cgroup_version is None else f" (version {memory.cgroup_version})"
        lines.append(f"limited to {gib(memory.limit_bytes)} by a control group{version}")
    if memory.swap_total_bytes and memory.swap_free_bytes is not None:
        lines.append(f"{gib(memory.swap_free_bytes)} of {gib(memory.swap_total_bytes)} of swap free")
    return lines


def _file_system(each: FileSystem) -> str:
    state = "" if each.writable is not False else ", not writable"
    free = f"{_amount(each.free_bytes)} of {_amount(each.total_bytes)} free"
    return f"{free} for {_PURPOSES[each.purpose]} ({each.kind}{state})"


def _amount(count: int) -> str:
    return gib(count) if count >= GIB else f"{count / MIB:.1f} MiB"


def _adapter(each: NetworkAdapter) -> str:
    speed = f", {each.speed_megabits / 1000:g} Gb/s" if each.speed_megabits else ""
    return f"{each.name}, {each.kind}{speed}{'' if each.is_up else ', down'}"


def _limit(limit: Limit | None) -> str:
    return "unknown" if limit is None else str(limit)


def _limit_bytes(limit: Limit | None) -> str:
    return _amount(limit) if isinstance(limit, int) else _limit(limit)


def _system(snapshot: HardwareSnapshot) -> Iterator[str]:
    system = snapshot.system
    yield system.distribution or snapshot.platform
    if system.kernel:
        yield f"Linux {system.kernel}" if snapshot.platform == "linux" else system.kernel
    yield snapshot.architecture
    if system.is_wsl:
        yield "under Windows (WSL)"
    if system.container:
        yield "in a container" if system.container == "other" else f"in a container ({system.container})"
