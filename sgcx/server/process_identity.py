"""Which process, not which number: a pid together with the moment it started, so a reused pid is never ours.

Standard library only: the child imports this inside the engine's environment. The start time is the kernel's own
(clock ticks since boot), so setting the machine's clock changes nothing; the boot id tells two boots apart.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_DEAD_STATES = frozenset("ZXx")


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """`create_time` is in seconds since boot. An empty `boot_id` is not compared."""

    pid: int
    create_time: float
    boot_id: str = ""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The live process that has this pid now. One that only waits to be reaped is not alive."""
        stat = _read_stat(pid)
        if stat is None or stat.is_dead:
            return None
        return cls(pid, stat.start_ticks / _TICKS_PER_S, boot_id())

    @classmethod
    def of_spawned(cls, pid: int) -> ProcessIdentity:
        """Of a child that has not been reaped: its pid cannot be reused, so a zombie has an identity too."""
        stat = _read_stat(pid)
        ticks = 0 if stat is None else stat.start_ticks
        return cls(pid, ticks / _TICKS_PER_S, boot_id())

    @classmethod
    def parse(cls, text: str) -> ProcessIdentity | None:
        """Reads what `str()` wrote; None for anything else."""
        match text.split():
            case [pid, create_time, *rest] if len(rest) <= 1:
                try:
                    return cls(int(pid), float(create_time), rest[0] if rest else "")
                except ValueError:
                    return None
            case _:
                return None

    def __str__(self) -> str:
        return f"{self.pid} {self.create_time} {self.boot_id}".rstrip()

    def is_alive(self) -> bool:
        if self.boot_id and self.boot_id != boot_id():
            return False
        now = ProcessIdentity.of(self.pid)
        return now is not None and abs(now.create_time - self.create_time) < 0.5 / _TICKS_PER_S

    def send(self, number: signal.Signals) -> bool:
        """Signals this very process through a pidfd, never a stranger with the same pid; False if it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.is_alive():
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    threads: int
    start_ticks: int

    @property
    def is_dead(self) -> bool:
        """While other threads are still ending, the zombie is only the first of them: files and locks are held."""
        return self.state in _DEAD_STATES and self.threads <= 1


def _read_stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name may hold spaces and brackets: the fields that count come after its last bracket.
    fields = text.rpartition(")")[2].split()
    return _Stat(state=fields[0], threads=int(fields[17]), start_ticks=int(fields[19]))
