"""Doctor on the machine: Python, driver, GPUs, disk, memory, port. Pure functions over what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sgcx.planning.driver import DRIVER_FLOOR, driver_is_too_old
from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.planning.snapshot import GpuSnapshot, HardwareSnapshot
from sgcx.server.environment import EngineState, EngineStatus
from sgcx.server.ports import PortOwner
from sgcx.workflows.checks import Check, Status

PYTHON, GPU, STORAGE = "Python", "GPU", "Resources"
_GIB = 1 << 30
_OLDEST_PYTHON = (3, 11)
_LEAST_FREE_BYTES = 1 * _GIB
_REHEARSAL_MEMORY_BYTES = 3 * _GIB
_BUSY_BYTES = 1 * _GIB
"""Less than this is a desktop or a monitoring tool."""


def check_python(version: tuple[int, int, int], *, has_ensurepip: bool, engines: Iterable[EngineState]) -> list[Check]:
    shown = ".".join(map(str, version))
    too_new = [
        engine.spec
        for engine in engines
        if version[:2] > engine.spec.newest_python and engine.status is not EngineStatus.READY
    ]
    if version[:2] < _OLDEST_PYTHON:
        first = Check(PYTHON, "version", Status.FAIL, shown, "sgcx needs 3.11 or later", "Run it with a newer Python")
    elif too_new:
        newest = ".".join(map(str, too_new[0].newest_python))
        why = f"The packages of {too_new[0].name} are made for Python up to {newest}"
        first = Check(PYTHON, "version", Status.WARN, shown, why, f"Run sgcx with Python {newest} to install it")
    else:
        first = Check(PYTHON, "version", Status.OK, shown)
    if has_ensurepip:
        return [first, Check(PYTHON, "venv", Status.OK, "can make virtual environments")]
    mend = f"On Debian and Ubuntu: apt install python{version[0]}.{version[1]}-venv"
    why = "Engines are virtual environments"
    return [first, Check(PYTHON, "venv", Status.FAIL, "the module ensurepip is missing", why, mend)]


def check_driver(hardware: HardwareSnapshot) -> Check:
    version = hardware.driver_version
    if version is None:
        found = hardware.gpu_note or "no NVIDIA driver"
        why = "Without a GPU the rehearsal works (`sgcx up rehearsal`), and plans for other machines"
        return Check(GPU, "driver", Status.WARN, found, why, "For a real model: a machine with NVIDIA GPUs")
    if driver_is_too_old(version):
        floor = ".".join(map(str, DRIVER_FLOOR))
        return Check(GPU, "driver", Status.FAIL, version, f"CUDA 12 needs {floor} or later", "Update the NVIDIA driver")
    cuda = ".".join(map(str, hardware.cuda_driver_version or ()))
    return Check(GPU, "driver", Status.OK, f"{version}, runs CUDA up to {cuda}" if cuda else version)


def check_gpus(hardware: HardwareSnapshot, ours: frozenset[int]) -> Iterator[Check]:
    """`ours`: indices of the GPUs that sgcx's own servers use."""
    if not hardware.gpus:
        yield Check(GPU, "GPUs", Status.SKIP, "none")
        return
    if hardware.gpu_note:
        yield Check(GPU, "GPUs", Status.WARN, hardware.gpu_note, "Plans leave these GPUs out")
    for gpu in hardware.gpus:
        yield _check_gpu(gpu, used_by_us=gpu.index in ours)


def _check_gpu(gpu: GpuSnapshot, *, used_by_us: bool) -> Check:
    found = f"{gpu.name}, {_gib(gpu.free_bytes)} of {_gib(gpu.total_bytes)} free"
    if used_by_us:
        return Check(GPU, f"GPU {gpu.index}", Status.OK, f"{found}, used by a server of sgcx")
    if gpu.used_bytes > _BUSY_BYTES:
        why = f"Other processes hold {_gib(gpu.used_bytes)}; SGLang needs equal room on all GPUs it uses"
        mend = "`nvidia-smi` names them; end them, or choose other GPUs with --gpus"
        return Check(GPU, f"GPU {gpu.index}", Status.WARN, found, why, mend)
    return Check(GPU, f"GPU {gpu.index}", Status.OK, found)


def check_data_disk(path: Path, free_bytes: int, engine: EngineState | None) -> Check:
    """`engine` is the one that this machine needs."""
    found = f"{_gib(free_bytes)} free in {path}"
    move = "Make room, or set SGCX_HOME to a folder on a larger disk"
    if free_bytes < _LEAST_FREE_BYTES:
        return Check(STORAGE, "disk", Status.FAIL, found, "Records and logs are written here", move)
    if engine is not None and engine.status is not EngineStatus.READY:
        needed_bytes = engine.spec.minimum_free_bytes
        if free_bytes < needed_bytes:
            why = f"Installing {engine.spec.name} needs {_gib(needed_bytes)}"
            return Check(STORAGE, "disk", Status.FAIL, found, why, move)
    return Check(STORAGE, "disk", Status.OK, found)


def check_weights_disk(path: Path, free_bytes: int, profiles: Iterable[Profile], *, has_gpus: bool) -> Check:
    found = f"{_gib(free_bytes)} free in {path}"
    if not has_gpus:
        return Check(STORAGE, "weights", Status.SKIP, f"{found}; nothing is downloaded without a GPU")
    sizes = [one.checkpoint.download_bytes for one in profiles if isinstance(one.checkpoint, HubCheckpoint)]
    fitting = sum(size < free_bytes for size in sizes)
    if sizes and not fitting:
        why = f"The smallest model is a download of {_gib(min(sizes))}; what is there already does not count"
        return Check(STORAGE, "weights", Status.WARN, found, why, "Make room, or set HF_HOME to a larger disk")
    return Check(STORAGE, "weights", Status.OK, f"{found}, room for any one of {fitting} of {len(sizes)} models")


def check_memory(hardware: HardwareSnapshot, limit_bytes: int | None, *, server_runs: bool) -> Check:
    total_bytes = hardware.memory_total_bytes
    found = f"{_gib(hardware.memory_available_bytes)} of {_gib(total_bytes)} available"
    usable_bytes = hardware.memory_available_bytes
    if limit_bytes is not None and limit_bytes < total_bytes:
        found += f", limited to {_gib(limit_bytes)} by a control group"
        usable_bytes = min(usable_bytes, limit_bytes)
    if usable_bytes < _REHEARSAL_MEMORY_BYTES and not server_runs:
        why = "The kernel ends processes when memory runs out; even the rehearsal takes 2 GiB"
        return Check(STORAGE, "memory", Status.WARN, found, why, "End other programs, or raise the limit")
    return Check(STORAGE, "memory", Status.OK, found)


def check_default_port(port: int, owner: PortOwner | None, our_server: str | None) -> Check:
    if our_server is not None:
        return Check(STORAGE, "port", Status.OK, f"{port} is the server {our_server!r}")
    if owner is None:
        return Check(STORAGE, "port", Status.OK, f"{port} is free")
    who = f"pid {owner.pid} ({owner.command or owner.name})" if owner.pid else "a process that this user cannot see"
    why = "`sgcx up` listens there unless told otherwise"
    mend = "End that process, or start with --port 0, which takes a free port"
    return Check(STORAGE, "port", Status.WARN, f"{port} is in use by {who}", why, mend)


def _gib(count: int) -> str:
    return f"{count / _GIB:.1f} GiB"
