"""`sgcx down`: end a server and everything it started."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sgcx.errors import LaunchFailed
from sgcx.paths import Paths
from sgcx.server.records import ServerRecord, ServerState, save_record
from sgcx.server.supervisor import STOP_DEADLINE_S, StopResult, stop, survey


@dataclass(frozen=True, slots=True)
class DownResult:
    name: str
    stopped: StopResult


def down_record(paths: Paths, record: ServerRecord, *, deadline_s: float = STOP_DEADLINE_S) -> DownResult:
    """Raises LaunchFailed where something survives even SIGKILL."""
    save_record(paths.servers, replace(record, state=ServerState.STOPPING))
    child = survey(paths.servers, record.name).child
    result = stop(child or record, deadline_s=deadline_s)
    if result.leftover_pids:
        pids = ", ".join(map(str, result.leftover_pids))
        raise LaunchFailed(
            f"Processes of {record.name!r} do not end: {pids}",
            hint="The kernel holds them, often in a driver call; they end when that returns, or at a reboot",
        )
    save_record(paths.servers, replace(record, state=ServerState.STOPPED, exit_reason="stopped by `sgcx down`"))
    return DownResult(record.name, result)
