"""The file system under a path: what kind, how large, how much is free."""

from __future__ import annotations

import os
from pathlib import Path

from sgcx.planning.host_facts import FileSystem, FileSystemPurpose


def nearest_existing(path: Path) -> Path:
    absolute = path.absolute()
    return next(candidate for candidate in (absolute, *absolute.parents) if candidate.exists())


def read_file_system(purpose: FileSystemPurpose, path: Path, *, root: Path = Path("/")) -> FileSystem:
    """`path` need not exist yet."""
    present = nearest_existing(path)
    usage = os.statvfs(present)
    device = present.stat().st_dev
    return FileSystem(
        purpose=purpose,
        kind=_kind(present, root),
        total_bytes=usage.f_blocks * usage.f_frsize,
        free_bytes=usage.f_bavail * usage.f_frsize,
        rotational=_is_rotational(f"{os.major(device)}:{os.minor(device)}", root),
        writable=os.access(present, os.W_OK),
    )


def _kind(path: Path, root: Path) -> str:
    """The mount point nearest above the path; of several on one point the last covers the others."""
    resolved = path.resolve()
    nearest, kind = -1, "unknown"
    for line in (root / "proc/self/mountinfo").read_text(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].encode().decode("unicode_escape"))
        if resolved.is_relative_to(point) and len(point.parts) >= nearest:
            nearest, kind = len(point.parts), after.split(" ")[0]
    return kind


def _is_rotational(device: str, root: Path) -> bool | None:
    """A partition has no queue of its own; network and layered file systems have no device at all."""
    block = root / "sys/dev/block" / device
    for queue in (block / "queue", block.resolve().parent / "queue"):
        try:
            return (queue / "rotational").read_text().strip() == "1"
        except OSError:
            continue
    return None
