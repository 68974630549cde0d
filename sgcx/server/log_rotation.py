"""Bounded logs: server.log, then server.log.1 (newest) … server.log.<keep> (oldest).

Before a launch the files are renamed. While the child writes they cannot be, so the log is copied and truncated in
place; every writer has it open O_APPEND and simply goes on at the new end. What is written between the end of the
copy and the truncation is lost, an instant's worth. No third-party imports: the rotator runs inside the child.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from pathlib import Path

from sgcx.byte_sizes import MIB

KEEP = 5
MAX_BYTES = 64 * MIB
CHECK_INTERVAL_S = 5.0


def rotated(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def rotate_by_rename(path: Path, *, keep: int = KEEP) -> None:
    """For a log that nobody writes to. An empty or absent one stays."""
    if not path.exists() or path.stat().st_size == 0:
        return
    _make_room(path, keep)
    path.replace(rotated(path, 1))


class LogRotator:
    """`start()` checks now and then on a daemon thread; `rotate_if_needed()` is one check."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = MAX_BYTES,
        keep: int = KEEP,
        interval_s: float = CHECK_INTERVAL_S,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sgcx-log-rotator", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def rotate_if_needed(self) -> bool:
        try:
            if self._path.stat().st_size <= self._max_bytes:
                return False
        except FileNotFoundError:
            return False
        # A disk too full for the copy must not be filled further: the bound holds, the old text is given up.
        with contextlib.suppress(OSError):
            self._copy()
        os.truncate(self._path, 0)
        return True

    def _copy(self) -> None:
        """The copy appears under its final name only when complete, so a follower can finish reading there."""
        partial = self._path.with_name(f"{self._path.name}.partial")
        try:
            with self._path.open("rb") as source, partial.open("wb") as target:
                os.fchmod(target.fileno(), 0o600)
                shutil.copyfileobj(source, target, MIB)
            _make_room(self._path, self._keep)
            partial.replace(rotated(self._path, 1))
        finally:
            partial.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            # A log directory that vanished is no reason to end the server's thread with a traceback.
            with contextlib.suppress(OSError):
                self.rotate_if_needed()


def _make_room(path: Path, keep: int) -> None:
    rotated(path, keep).unlink(missing_ok=True)
    for number in range(keep - 1, 0, -1):
        older = rotated(path, number)
        if older.exists():
            older.replace(rotated(path, number + 1))
