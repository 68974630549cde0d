"""Every process that belongs to a server, found in four ways, because each of them alone misses some.

The session and the process group (SGLang's workers stay in them), the descendants (a worker may call setsid), and
a marker in the environment (a setsid orphan is nobody's descendant any more). Workers that rename themselves
overwrite their own environment, so the marker alone would not do either.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from sgcx.server.process_identity import ProcessIdentity

MARKER = "SGCX_SERVER_DIR"


def marker_value(server_dir: Path) -> str:
    return str(server_dir.resolve())


def members(server_dir: Path, leader: ProcessIdentity | None) -> tuple[ProcessIdentity, ...]:
    """Live processes of this server, the leader first. Never this process or one that it runs in."""
    own = {os.getpid(), *_ancestors(os.getpid())}
    found: dict[int, ProcessIdentity] = {}
    for pid in [*_led(leader), *_marked(server_dir)]:
        identity = None if pid in own else ProcessIdentity.of(pid)
        if identity is not None:
            found[pid] = identity
    return tuple(found.values())


def _led(leader: ProcessIdentity | None) -> Iterator[int]:
    """The kernel gives no pid away while a session or group still carries its number: those are ours too.

    Unless somebody else is now alive under that pid: then everything of the leader was gone before.
    """
    if leader is None:
        return
    alive = leader.is_alive()
    if not alive and ProcessIdentity.of(leader.pid) is not None:
        return
    if alive:
        yield leader.pid
        yield from _descendants(leader.pid)
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if (os.getsid(pid) == leader.pid or os.getpgid(pid) == leader.pid) and _started_after(pid, leader):
                yield pid


def _started_after(pid: int, leader: ProcessIdentity) -> bool:
    identity = ProcessIdentity.of(pid)
    return (
        identity is not None
        and identity.boot_id == (leader.boot_id or identity.boot_id)
        and identity.create_time >= leader.create_time
    )


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _ancestors(pid: int) -> list[int]:
    try:
        return [parent.pid for parent in psutil.Process(pid).parents()]
    except psutil.Error:
        return []


def _marked(server_dir: Path) -> Iterator[int]:
    wanted = f"{MARKER}={marker_value(server_dir)}".encode()
    for pid in psutil.pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:  # gone, or somebody else's: not ours either way
            continue
        if wanted in environment.split(b"\0"):
            yield pid
