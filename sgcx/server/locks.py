"""Two locks per server.

`lock` lives in an open file description that the child inherits: it stays held until the last process that has it
is gone, however `sgcx up` ended. Held means: a child, or an `up` about to start one, exists. `up.lock` is held by
a working `sgcx up` only and tells two of them apart. Neither file is ever deleted, because a lock on a deleted
file excludes nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from sgcx.errors import UserError

# A probe holds a shared lock for an instant, so an acquirer looks again before it gives up.
_PROBE_GRACE_S = 0.5
_RETRY_S = 0.01


def open_server_lock(server_dir: Path) -> int | None:
    """The descriptor that holds the server's lock, or None while something of this server is alive."""
    return _acquire(server_dir / "lock")


def is_server_locked(server_dir: Path) -> bool:
    try:
        descriptor = os.open(server_dir / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def hold_up_lock(server_dir: Path) -> Iterator[None]:
    """Held while `sgcx up` works on this server; a second one gets a UserError that names the first."""
    server_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = server_dir / "up.lock"
    descriptor = _acquire(path)
    if descriptor is None:
        owner = path.read_text(encoding="ascii", errors="replace").strip() or "unknown"
        raise UserError(
            f"another `sgcx up` is already starting the server {server_dir.name!r} (pid {owner})",
            hint="wait for it to finish, or end it and run this again",
        )
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _acquire(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _PROBE_GRACE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(_RETRY_S)
