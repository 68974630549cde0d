"""The memory that a container or a service manager allows, which the machine's own numbers do not show."""

from __future__ import annotations

from pathlib import Path

_UNLIMITED_BYTES = 1 << 60
"""Version 1 writes a number near 2^63 for "no limit"."""


def memory_limit_bytes(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """The least limit of this process's control group and those above it; None without one."""
    limits = [limit for path in _limit_files(cgroups, own) if (limit := _read_limit(path)) is not None]
    return min(limits, default=None)


def cgroup_version(cgroups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """2 for the unified hierarchy, 1 for the one with a folder for each controller, None without either."""
    if (cgroups / "cgroup.controllers").exists():
        return 2
    return 1 if (cgroups / "memory").is_dir() else None


def _limit_files(cgroups: Path, own: Path) -> list[Path]:
    files = [cgroups / "memory.max", cgroups / "memory" / "memory.limit_in_bytes"]
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return files
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root, name = (cgroups, "memory.max") if not controllers else (cgroups / "memory", "memory.limit_in_bytes")
        folder = Path(group.lstrip("/"))
        files += [root / each / name for each in (folder, *folder.parents)]
    return files


def _read_limit(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() and int(text) < _UNLIMITED_BYTES else None
