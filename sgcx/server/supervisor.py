"""The SGLang child process: start it, see whether it lives, end it and all it started.

The child leads its own session, so a Ctrl-C at `sgcx` never reaches it. It inherits the server's lock. SGLang
0.5.10 ends itself by SIGKILL even when all went well and may never finish draining, so neither its exit code nor
its goodwill counts: the deadline does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sgcx.errors import LaunchFailed, UserError
from sgcx.server.locks import is_server_locked, open_server_lock
from sgcx.server.log_rotation import rotate_by_rename
from sgcx.server.process_identity import ProcessIdentity
from sgcx.server.process_tree import MARKER, marker_value, members
from sgcx.server.records import LoadedRecord, ServerRecord, announced_child, load_record

LOG_NAME = "server.log"
STOP_DEADLINE_S = 30.0
_KILL_DEADLINE_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class ChildHandle:
    """`process` is None for a child that another `sgcx up` started."""

    identity: ProcessIdentity
    server_dir: Path
    log_path: Path
    process: subprocess.Popen[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Alive:
    identity: ProcessIdentity


@dataclass(frozen=True, slots=True)
class Dead:
    """`exit_code` as subprocess has it (negative: the signal), None where only init knows it."""

    exit_code: int | None


class StopOutcome(StrEnum):
    GRACEFUL = "graceful"
    KILLED = "killed"
    ALREADY_GONE = "already_gone"


@dataclass(frozen=True, slots=True)
class StopResult:
    """`leftover_pids` is empty unless the kernel holds a process that SIGKILL has not ended in time."""

    outcome: StopOutcome
    seconds: float
    leftover_pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServerSurvey:
    """What is true of a server now, whatever its record says.

    Not `alive`: `spawn` will work. `child` is what to `stop`: the leader, or the dead one whose orphans still live.
    """

    loaded: LoadedRecord
    locked: bool
    child: ChildHandle | None
    pids: tuple[int, ...]

    @property
    def alive(self) -> bool:
        return self.locked or bool(self.pids)


def spawn(command: Sequence[str], *, server_dir: Path, environment: Mapping[str, str], cwd: Path) -> ChildHandle:
    """Starts the child, its output appended to a fresh server.log. `environment` is all that it gets."""
    server_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = open_server_lock(server_dir)
    if lock is None:
        raise UserError(
            f"the server {server_dir.name!r} is already running",
            hint=f"see `sgcx status`, or stop it with `sgcx down {server_dir.name}`",
        )
    try:
        (server_dir / "child.pid").unlink(missing_ok=True)
        log_path = server_dir / LOG_NAME
        rotate_by_rename(log_path)
        process = _launch(command, log_path, {**environment, MARKER: marker_value(server_dir)}, cwd, lock)
    finally:
        os.close(lock)  # never LOCK_UN: that would unlock the child's share of it too
    return ChildHandle(ProcessIdentity.of_spawned(process.pid), server_dir, log_path, process)


def liveness(server: ServerRecord | ChildHandle) -> Alive | Dead:
    if isinstance(server, ChildHandle) and server.process is not None:
        exit_code = server.process.poll()
        return Alive(server.identity) if exit_code is None else Dead(exit_code)
    return Alive(server.identity) if server.identity.is_alive() else Dead(None)


def survey(servers_dir: Path, name: str) -> ServerSurvey:
    """Finds a child even if `sgcx up` was killed before it wrote a record, or before the child said a word."""
    loaded = load_record(servers_dir, name)
    directory = servers_dir / name
    leader = announced_child(directory) or (loaded.record.identity if loaded.record else None)
    alive = members(directory, leader)
    if leader is None or not leader.is_alive():
        unannounced = next((each for each in alive if _leads_a_session(each.pid)), None)
        # Known only now, so look again: workers that overwrote their environment are found through their leader.
        leader, alive = (leader, alive) if unannounced is None else (unannounced, members(directory, unannounced))
    child = None if leader is None or not alive else ChildHandle(leader, directory, directory / LOG_NAME)
    return ServerSurvey(loaded, is_server_locked(directory), child, tuple(each.pid for each in alive))


def _leads_a_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:  # it has ended since it was found
        return False


def stop(
    server: ServerRecord | ChildHandle,
    *,
    deadline_s: float = STOP_DEADLINE_S,
    in_haste: Callable[[], bool] = lambda: False,
) -> StopResult:
    """SIGTERM, `deadline_s` to comply or until it is `in_haste`, then SIGKILL; verifies that nothing is left.

    SIGTERM goes to the leader alone while it lives: SGLang's takes the loss of a worker for a crash and ends
    at once, cutting off the answers that it would have finished. Whoever outlives the leader is told next.
    """
    started = time.monotonic()
    tree = _Tree(server)
    if not tree.refresh():
        return StopResult(StopOutcome.ALREADY_GONE, time.monotonic() - started, ())
    outcome = StopOutcome.GRACEFUL
    tree.terminate_leader()
    if not _wait_until(tree.is_gone_or_told, deadline_s, in_haste):
        outcome = StopOutcome.KILLED
        _wait_until(tree.is_gone_or_killed, _KILL_DEADLINE_S)
    leftover = tuple(each.pid for each in tree.refresh())
    return StopResult(outcome, time.monotonic() - started, leftover)


class _Tree:
    """Members once seen stay members: one that loses its parent meanwhile is not lost to us."""

    def __init__(self, server: ServerRecord | ChildHandle) -> None:
        self._server = server
        self._leader = server.identity
        self._seen: dict[int, ProcessIdentity] = {}
        self._told: set[ProcessIdentity] = set()

    def refresh(self) -> list[ProcessIdentity]:
        for each in members(self._server.server_dir, self._leader):
            self._seen[each.pid] = each
        return self._alive()

    def terminate_leader(self) -> None:
        self._told.add(self._leader)
        self._leader.send(signal.SIGTERM)

    def is_gone_or_told(self) -> bool:
        """Looks for unknown members only once the known ones are gone, since that reads all of /proc."""
        alive = self._alive() or self.refresh()
        if self._leader not in alive:
            for each in set(alive) - self._told:
                self._told.add(each)
                each.send(signal.SIGTERM)
        return not alive

    def is_gone_or_killed(self) -> bool:
        alive = self.refresh()
        for each in alive:
            each.send(signal.SIGKILL)
        return not alive

    def _alive(self) -> list[ProcessIdentity]:
        liveness(self._server)  # reaps the leader if it is our own child
        return [each for each in self._seen.values() if each.is_alive()]


def _launch(
    command: Sequence[str], log_path: Path, environment: Mapping[str, str], cwd: Path, lock: int
) -> subprocess.Popen[bytes]:
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=cwd,
            start_new_session=True,
            pass_fds=(lock,),
        )
    except OSError as error:
        raise LaunchFailed(
            f"{command[0]} could not be started: {error.strerror or error}",
            hint="the engine's environment may be damaged: mend it with `sgcx engine repair`",
            log_path=str(log_path),
        ) from error
    finally:
        os.close(log)


def _wait_until(condition: Callable[[], bool], deadline_s: float, in_haste: Callable[[], bool] = lambda: False) -> bool:
    deadline = time.monotonic() + deadline_s
    while not condition():
        if in_haste() or time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True
