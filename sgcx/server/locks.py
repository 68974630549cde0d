"""Three locks per server.

`lock` lives in an open file description that the child inherits: it stays held until the last process that has it
is gone, however `sgcx up` ended. Held means: a child, or an `up` about to start one, exists. `up.lock` is held by
a working `sgcx up` only and tells two of them apart. `supervisor.lock` is held by the process that restarts the
server, and names it. None of the files is ever deleted, because a lock on a deleted file excludes nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from sgcx.errors import UserError
from sgcx.file_locks import is_locked
from sgcx.server.process_identity import ProcessIdentity

_SUPERVISOR_LOCK = "supervisor.lock"
_PROBE_GRACE_S = 0.5
"""A probe holds a shared lock for an instant, so an acquirer looks again before it gives up."""
_RETRY_S = 0.01
_SUPERVISOR_DEADLINE_S = 20.0


def open_server_lock(server_dir: Path) -> int | None:
    """The descriptor that holds the server's lock, or None while something of this server is alive."""
    return _acquire(server_dir / "lock")


def is_server_locked(server_dir: Path) -> bool:
    """Not that anybody could tell of another user's server."""
    with contextlib.suppress(PermissionError):
        return is_locked(server_dir / "lock")
    return False


@contextlib.contextmanager
def hold_up_lock(server_dir: Path) -> Iterator[None]:
    """Held while `sgcx up` works on this server; a second one gets a UserError that names the first."""
    server_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = server_dir / "up.lock"
    descriptor = _acquire(path)
    if descriptor is None:
        owner = _read(path).strip() or "unknown"
        raise UserError(
            f"another `sgcx up` is already starting the server {server_dir.name!r} (pid {owner})",
            hint="wait for it to finish, or end it and run this again",
        )
    with _naming(os.getpid(), descriptor):
        yield


@contextlib.contextmanager
def hold_supervisor_lock(server_dir: Path) -> Iterator[None]:
    """Held as long as this process watches over the server."""
    descriptor = _acquire(server_dir / _SUPERVISOR_LOCK)
    if descriptor is None:
        raise UserError(f"the server {server_dir.name!r} has a supervisor already")
    with _naming(ProcessIdentity.of_spawned(os.getpid()), descriptor):
        yield


def supervisor_of(server_dir: Path) -> ProcessIdentity | None:
    """Who restarts the server when it ends by itself."""
    path = server_dir / _SUPERVISOR_LOCK
    return ProcessIdentity.parse(_read(path)) if is_locked(path) else None


def end_supervisor(server_dir: Path, *, deadline_s: float = _SUPERVISOR_DEADLINE_S) -> None:
    """It leaves a running server alone, ends one that it is starting, and is killed when it does not comply."""
    supervisor = supervisor_of(server_dir)
    if supervisor is None or supervisor.pid == os.getpid():
        return
    supervisor.send(signal.SIGTERM)
    deadline = time.monotonic() + deadline_s
    while supervisor.is_alive() and supervisor_of(server_dir) is not None:
        if time.monotonic() >= deadline:
            supervisor.send(signal.SIGKILL)
            return
        time.sleep(_RETRY_S)


@contextlib.contextmanager
def _naming(owner: int | ProcessIdentity, descriptor: int) -> Iterator[None]:
    """The lock's file tells who holds it, and the lock ends with this."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{owner}\n".encode("ascii"), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace")


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
