"""Doctor on disks, memory, limits and the port. Pure functions over what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sgcx.byte_sizes import GIB, gib
from sgcx.environments.environment import EngineState, EngineStatus
from sgcx.planning.host_facts import FileSystem, Limit
from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.server.ports import PortOwner
from sgcx.workflows.checks.check import Check, Status

RESOURCES = "Resources"
_LEAST_FREE_BYTES = 1 * GIB
_REHEARSAL_MEMORY_BYTES = 3 * GIB
_SHARED_MEMORY_BYTES = 16 * GIB
_HOPELESS_SHARED_MEMORY_BYTES = 1 * GIB
_OPEN_FILES = 65_535
_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "9p", "virtiofs", "fuse.sshfs", "fuse.s3fs"}
)
_LOST_WITH_CONTAINER = frozenset({"overlay", "tmpfs"})


def check_data_disk(path: Path, free_bytes: int, engine: EngineState | None) -> Check:
    """`engine` is the one that this machine needs."""
    found = f"{gib(free_bytes)} free in {path}"
    move = "Make room, or set SGCX_HOME to a folder on a larger disk"
    if free_bytes < _LEAST_FREE_BYTES:
        return Check(RESOURCES, "disk", Status.FAIL, found, "Records and logs are written here", move)
    if engine is not None and engine.status is not EngineStatus.READY:
        needed_bytes = engine.spec.minimum_free_bytes
        if free_bytes < needed_bytes:
            why = f"Installing {engine.spec.name} needs {gib(needed_bytes)}"
            return Check(RESOURCES, "disk", Status.FAIL, found, why, move)
    return Check(RESOURCES, "disk", Status.OK, found)


def check_weights_disk(path: Path, free_bytes: int, profiles: Iterable[Profile], *, has_gpus: bool) -> Check:
    found = f"{gib(free_bytes)} free in {path}"
    if not has_gpus:
        return Check(RESOURCES, "weights", Status.SKIP, f"{found}; nothing is downloaded without a GPU")
    sizes = [one.checkpoint.download_bytes for one in profiles if isinstance(one.checkpoint, HubCheckpoint)]
    fitting = sum(size < free_bytes for size in sizes)
    if sizes and not fitting:
        why = f"The smallest model is a download of {gib(min(sizes))}; what is there already does not count"
        return Check(RESOURCES, "weights", Status.WARN, found, why, "Make room, or set HF_HOME to a larger disk")
    return Check(RESOURCES, "weights", Status.OK, f"{found}, room for any one of {fitting} of {len(sizes)} models")


def check_file_systems(hardware: HardwareSnapshot) -> Iterator[Check]:
    """Whether the folders can be written, last, and are quick enough to load weights from."""
    for file_system in hardware.file_systems:
        if file_system.writable is False:
            found = f"the folder for {file_system.purpose.replace('_', ' ')} cannot be written"
            mend = "Give this user the right to write there, or move it (SGCX_HOME, HF_HOME, TMPDIR)"
            yield Check(RESOURCES, "writing", Status.FAIL, found, "sgcx, the hub's client and SGLang write there", mend)
    weights = hardware.file_system("weights")
    if weights is not None and hardware.gpus:
        yield from _check_loading(weights)
    data = hardware.file_system("data")
    if hardware.system.container and data is not None and data.kind in _LOST_WITH_CONTAINER:
        found = f"sgcx's data lies in the container ({data.kind})"
        why = "The engine, and weights in the same place, are lost with the container"
        mend = "Mount a volume, and set SGCX_HOME and HF_HOME to folders on it"
        yield Check(RESOURCES, "volume", Status.WARN, found, why, mend)


def _check_loading(weights: FileSystem) -> Iterator[Check]:
    why = "Hundreds of GiB are read at each start; from here that can take longer than SGLang's own deadlines"
    if weights.kind in _NETWORK_FILE_SYSTEMS:
        mend = "Keep weights on a local SSD (HF_HOME), or expect a slow first start"
        yield Check(RESOURCES, "loading", Status.WARN, f"weights come over {weights.kind}", why, mend)
    elif weights.rotational:
        found = "weights lie on what the kernel calls a rotating disk"
        yield Check(RESOURCES, "loading", Status.WARN, found, why, "If it is one: set HF_HOME to a folder on an SSD")


def check_memory(hardware: HardwareSnapshot, *, server_runs: bool) -> Check:
    total_bytes, limit_bytes = hardware.memory_total_bytes, hardware.memory.limit_bytes
    found = f"{gib(hardware.memory_available_bytes)} of {gib(total_bytes)} available"
    if limit_bytes is not None and limit_bytes < total_bytes:
        found += f", limited to {gib(limit_bytes)} by a control group"
    if hardware.usable_memory_bytes < _REHEARSAL_MEMORY_BYTES and not server_runs:
        why = "The kernel ends processes when memory runs out; even the rehearsal takes 2 GiB"
        return Check(RESOURCES, "memory", Status.WARN, found, why, "End other programs, or raise the limit")
    return Check(RESOURCES, "memory", Status.OK, found)


def check_shared_memory(hardware: HardwareSnapshot) -> Check:
    shared = hardware.file_system("shared_memory")
    if len(hardware.gpus) < 2:
        return Check(RESOURCES, "/dev/shm", Status.SKIP, "only GPUs that share a model need it")
    if shared is None:
        return Check(RESOURCES, "/dev/shm", Status.WARN, "cannot be read", "GPUs that share a model talk through it")
    found = f"{gib(shared.total_bytes)}, {gib(shared.free_bytes)} free"
    if shared.free_bytes >= _SHARED_MEMORY_BYTES:
        return Check(RESOURCES, "/dev/shm", Status.OK, found)
    status = Status.FAIL if shared.free_bytes < _HOPELESS_SHARED_MEMORY_BYTES else Status.WARN
    why = "NCCL and SGLang's processes talk through it; where it is full they end with a bus error"
    mend = "sudo mount -o remount,size=32G /dev/shm"
    if hardware.system.container:
        mend = "Start the container with --shm-size 32g, or with --ipc=host"
    return Check(RESOURCES, "/dev/shm", status, found, why, mend)


def check_limits(hardware: HardwareSnapshot) -> Iterator[Check]:
    open_files, locked = hardware.limits.open_files, hardware.limits.locked_memory_bytes
    if hardware.gpus and isinstance(open_files, int) and open_files < _OPEN_FILES:
        why = f"SGLang's processes, their sockets and shared memory want {_OPEN_FILES}"
        mend = f"ulimit -Hn {_OPEN_FILES} as root, LimitNOFILE={_OPEN_FILES} in a unit, --ulimit nofile in a container"
        yield Check(RESOURCES, "open files", Status.WARN, f"at most {open_files}", why, mend)
    else:
        yield Check(RESOURCES, "open files", Status.OK, _limit(open_files))
    joins_machines = any(adapter.kind == "infiniband" for adapter in hardware.network)
    if joins_machines and isinstance(locked, int):
        why = "InfiniBand needs to lock the memory that it sends from"
        mend = "ulimit -l unlimited, LimitMEMLOCK=infinity in a unit, --ulimit memlock=-1 in a container"
        yield Check(RESOURCES, "locked memory", Status.WARN, f"at most {gib(locked)}", why, mend)


def _limit(limit: Limit | None) -> str:
    return "unknown" if limit is None else str(limit)


def check_default_port(port: int, owner: PortOwner | None, our_server: str | None) -> Check:
    if our_server is not None:
        return Check(RESOURCES, "port", Status.OK, f"{port} is the server {our_server!r}")
    if owner is None:
        return Check(RESOURCES, "port", Status.OK, f"{port} is free")
    who = f"pid {owner.pid} ({owner.command or owner.name})" if owner.pid else "a process that this user cannot see"
    why = "`sgcx up` listens there unless told otherwise"
    mend = "End that process, or start with --port 0, which takes a free port"
    return Check(RESOURCES, "port", Status.WARN, f"{port} is in use by {who}", why, mend)
