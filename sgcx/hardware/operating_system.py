"""Facts about the operating system: distribution, kernel, container, WSL, limits, the driver's messages."""

from __future__ import annotations

import os
import platform
import re
import resource
from collections import Counter
from pathlib import Path
from typing import Literal

from sgcx.planning.gpu_facts import XidError
from sgcx.planning.host_facts import Container, Limit, ProcessLimits, SystemFacts

ROOT = Path("/")
_XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)")
_FABRIC_MANAGER = "nv-fabricmanager"
_MOST_LOG_RECORDS = 100_000


def read_system(root: Path = ROOT) -> SystemFacts:
    release = platform.release()
    return SystemFacts(
        distribution=_distribution(root),
        kernel=release,
        glibc=platform.libc_ver()[1] or None,
        is_wsl="microsoft" in release.lower(),
        container=_container(root),
        iommu=_iommu(root),
        fabric_manager=_fabric_manager(root),
    )


def _distribution(root: Path) -> str | None:
    text = _text_or_empty(root / "etc/os-release")
    match = re.search(r'^PRETTY_NAME="?([^"\n]+)', text, re.MULTILINE)
    return match[1] if match else None


def _container(root: Path) -> Container | None:
    if (root / "var/run/secrets/kubernetes.io").exists():
        return "kubernetes"
    if (root / ".dockerenv").exists():
        return "docker"
    if (root / "run/.containerenv").exists():
        return "podman"
    match _text_or_empty(root / "run/systemd/container").strip():
        case "":
            return None
        case "docker" | "podman" | "lxc" as name:
            return name
        case _:
            return "other"


def _iommu(root: Path) -> str | None:
    words = _text_or_empty(root / "proc/cmdline").split()
    return " ".join(word for word in words if "iommu" in word) or None


def _fabric_manager(root: Path) -> Literal["active", "inactive"] | None:
    import psutil

    if any(process.info["name"] == _FABRIC_MANAGER for process in psutil.process_iter(["name"])):
        return "active"
    return "inactive" if (root / "usr/bin" / _FABRIC_MANAGER).exists() else None


def read_limits() -> ProcessLimits:
    return ProcessLimits(_hard_limit(resource.RLIMIT_NOFILE), _hard_limit(resource.RLIMIT_MEMLOCK))


def _hard_limit(kind: int) -> Limit:
    limit = resource.getrlimit(kind)[1]
    return "unlimited" if limit == resource.RLIM_INFINITY else limit


def read_xid_errors(root: Path = ROOT) -> tuple[XidError, ...]:
    """From the kernel's log, which only some may read: PermissionError for the others."""
    descriptor = os.open(root / "dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        found = Counter((match[1].lower(), int(match[2])) for match in _XID.finditer(_drain(descriptor)))
    finally:
        os.close(descriptor)
    return tuple(XidError(bus_id, code, count) for (bus_id, code), count in sorted(found.items()))


def _drain(descriptor: int) -> str:
    """The kernel hands out one record per read, and says when there is no more, or when one was overwritten."""
    records: list[bytes] = []
    for _ in range(_MOST_LOG_RECORDS):
        try:
            record = os.read(descriptor, 8192)
        except BlockingIOError:
            break
        except BrokenPipeError:
            continue
        if not record:
            break
        records.append(record)
    return b"".join(records).decode("utf-8", "replace")


def _text_or_empty(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
