"""One installer per engine at a time. pip inherits the lock, so a killed installer's pip still counts as one."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from sgcx.environments.engine_specs import EngineDirectory
from sgcx.errors import UserError
from sgcx.file_locks import is_locked


@contextlib.contextmanager
def hold_install_lock(engine: EngineDirectory) -> Iterator[int]:
    """Yields the descriptor that holds the lock; a UserError names the process that has it already.

    Whoever holds it may delete what lies in the engine's directory, so that one must not lie somewhere else.
    """
    if engine.path.is_symlink():
        raise UserError(
            f"{engine.path} is a link to {engine.path.readlink()}, so the engine may be another's, and is not changed",
            hint="Delete the link and install the engine again; SGCX_HOME may be a folder on another disk",
        )
    engine.path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(engine.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{engine.path.name} is being installed or changed by another process ({_owner(engine)})",
                hint="Wait until it has ended, or end it, and run this again",
            ) from error
        name_owner(descriptor, os.getpid())
        yield descriptor
    finally:
        os.close(descriptor)


def name_owner(descriptor: int, pid: int) -> None:
    """For the message to others: while pip runs, it is pip, because it may outlive the installer."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{pid}\n".encode("ascii"), 0)


def installer_at_work(engine: EngineDirectory) -> str | None:
    """Who holds the lock, in words, or None."""
    return _owner(engine) if is_locked(engine.lock_file) else None


def _owner(engine: EngineDirectory) -> str:
    pid = engine.lock_file.read_text(encoding="ascii", errors="replace").strip()
    return f"pid {pid}" if pid else "pid unknown"
