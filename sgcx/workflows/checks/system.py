"""Doctor on the operating system: platform, libraries, compilers, caches, clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.workflows.checks.check import Check, Fix, FixKind, Status

SYSTEM = "System"
_GLIBC_FLOOR = (2, 28)
_MOST_SKEW_S = 300.0


@dataclass(frozen=True, slots=True)
class BuildTools:
    """What compiles kernels for the GPU at first use; None where it is not there."""

    nvcc: str | None
    cxx: str | None


def check_platform(hardware: HardwareSnapshot) -> Iterator[Check]:
    system = hardware.system
    found = ", ".join(each for each in (system.distribution, system.kernel, hardware.architecture) if each)
    if hardware.platform != "linux":
        yield Check(SYSTEM, "platform", Status.FAIL, hardware.platform, "SGLang runs on Linux", "Use Linux, or WSL 2")
    elif system.is_wsl:
        why = "The GPU's memory is shared with Windows, main memory is half the machine's, peer access is missing"
        mend = "For more memory: [wsl2] memory=SIZE in %UserProfile%\\.wslconfig, then `wsl --shutdown`"
        yield Check(SYSTEM, "platform", Status.WARN, f"{found}, under Windows", why, mend)
    elif hardware.architecture == "aarch64" and hardware.gpus:
        why = "The packages of the engine are made for x86_64; on ARM its kernels are less tried"
        yield Check(SYSTEM, "platform", Status.WARN, found, why, "SGLang's ARM containers are the surer way")
    else:
        yield Check(SYSTEM, "platform", Status.OK, found)
    yield from _check_glibc(system.glibc)


def _check_glibc(version: str | None) -> Iterator[Check]:
    numbers = tuple(int(part) for part in (version or "").split(".") if part.isdigit())
    if numbers and numbers < _GLIBC_FLOOR:
        floor = ".".join(map(str, _GLIBC_FLOOR))
        why = f"The packages of the engine are made for {floor} or later"
        yield Check(SYSTEM, "glibc", Status.FAIL, str(version), why, "Use a newer distribution, or a container of one")


def check_numa_library(path: str | None, *, has_gpus: bool) -> Check:
    if path is not None:
        return Check(SYSTEM, "libnuma", Status.OK, path)
    if not has_gpus:
        return Check(SYSTEM, "libnuma", Status.SKIP, "not found; only GPUs need it")
    mend = "apt install libnuma1, or: dnf install numactl-libs"
    return Check(SYSTEM, "libnuma", Status.FAIL, "libnuma.so.1 is not found", "SGLang's kernels load it", mend)


def check_build_tools(tools: BuildTools, *, has_gpus: bool) -> Check:
    absent = [name for name, path in (("nvcc", tools.nvcc), ("c++", tools.cxx)) if path is None]
    if not absent:
        return Check(SYSTEM, "compilers", Status.OK, f"{tools.nvcc}, {tools.cxx}")
    if not has_gpus:
        return Check(SYSTEM, "compilers", Status.SKIP, f"no {' and no '.join(absent)}; only GPUs need them")
    why = "Some kernels (DeepGEMM, FlashInfer) are compiled at first use; without them a start can fail"
    mend = "Install the CUDA toolkit of the driver's version and g++; set CUDA_HOME where nvcc is not on the PATH"
    return Check(SYSTEM, "compilers", Status.WARN, f"no {' and no '.join(absent)}", why, mend)


def check_kernel_caches(folders: Mapping[Path, bool | None], *, has_gpus: bool) -> Iterator[Check]:
    """`folders` to whether they can be written; None where they are not there and can be made."""
    if not has_gpus:
        return
    closed = [str(folder) for folder, writable in folders.items() if writable is False]
    if closed:
        why = "Compiled kernels are kept there; without it each start compiles for 10 to 20 minutes"
        mend = f"sudo chown -R $USER {' '.join(closed)}"
        yield Check(SYSTEM, "kernel cache", Status.WARN, f"cannot be written: {', '.join(closed)}", why, mend)
        return
    absent = [folder for folder, writable in folders.items() if writable is None]
    if not absent:
        yield Check(SYSTEM, "kernel cache", Status.OK, "can be written")
    for folder in absent:
        fix = Fix(FixKind.MAKE_CACHE_FOLDER, str(folder), f"make the folder {folder}")
        yield Check(SYSTEM, "kernel cache", Status.OK, f"{folder} is made at first use", fix=fix)


def check_clock(skew_s: float | None) -> Check:
    if skew_s is None:
        return Check(SYSTEM, "clock", Status.SKIP, "nothing to compare it with: the model hub was not asked")
    if abs(skew_s) <= _MOST_SKEW_S:
        return Check(SYSTEM, "clock", Status.OK, "agrees with the model hub's")
    found = f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} the model hub's"
    why = "Certificates and tokens count as expired, or not yet valid"
    return Check(SYSTEM, "clock", Status.WARN, found, why, "sudo timedatectl set-ntp true")
