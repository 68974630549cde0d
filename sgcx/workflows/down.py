"""`sgcx down`: end a server and everything it started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sgcx.errors import LaunchFailed
from sgcx.paths import Paths
from sgcx.server.interrupts import interrupts_make_haste
from sgcx.server.locks import end_supervisor
from sgcx.server.records import ServerRecord, ServerState, load_record, note_record, remove_record
from sgcx.server.supervisor import STOP_DEADLINE_S, StopResult, stop, survey
from sgcx.workflows.servers import ServerView


@dataclass(frozen=True, slots=True)
class DownResult:
    name: str
    stopped: StopResult


def down_server(paths: Paths, view: ServerView, *, deadline_s: float = STOP_DEADLINE_S) -> DownResult:
    """Also for a server without a record. Raises LaunchFailed where something survives even SIGKILL."""
    if view.recorded:
        return down_record(paths, view.record, deadline_s=deadline_s)
    result = _stop(paths, view.record, deadline_s)
    if load_record(paths.servers, view.record.name).warning is not None:
        remove_record(paths.servers, view.record.name)
    return result


def down_record(
    paths: Paths,
    record: ServerRecord,
    *,
    deadline_s: float = STOP_DEADLINE_S,
    in_haste: Callable[[], bool] = lambda: False,
) -> DownResult:
    note_record(paths.servers, replace(record, state=ServerState.STOPPING))
    result = _stop(paths, record, deadline_s, in_haste)
    stopped = replace(record, state=ServerState.STOPPED, exit_reason="stopped by `sgcx down`", restart_at=None)
    note_record(paths.servers, stopped)
    return result


def down_interrupted(paths: Paths, record: ServerRecord) -> DownResult:
    """After Ctrl-C; another one makes haste."""
    with interrupts_make_haste() as in_haste:
        return down_record(paths, record, in_haste=in_haste)


def _stop(
    paths: Paths, record: ServerRecord, deadline_s: float, in_haste: Callable[[], bool] = lambda: False
) -> DownResult:
    end_supervisor(record.server_dir)
    child = survey(paths.servers, record.name).child
    result = stop(child or record, deadline_s=deadline_s, in_haste=in_haste)
    if result.leftover_pids:
        pids = ", ".join(map(str, result.leftover_pids))
        raise LaunchFailed(
            f"Processes of {record.name!r} do not end: {pids}",
            hint="The kernel holds them, often in a driver call; they end when that returns, or at a reboot",
        )
    return DownResult(record.name, result)
