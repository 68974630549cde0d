"""Which server a command means, and what is true of it now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.server.failure import classify
from sgcx.server.log_reading import tail
from sgcx.server.records import ServerRecord, ServerState, list_records, load_record, save_record
from sgcx.server.supervisor import ServerSurvey, survey

_PROBE_TIMEOUT_S = 5.0
_CLASSIFIED_LINES = 400


@dataclass(frozen=True, slots=True)
class ServerView:
    """A record made true: its state is what was found, not what was written."""

    record: ServerRecord
    healthy: bool


def list_views(paths: Paths) -> tuple[tuple[ServerView, ...], tuple[str, ...]]:
    listing = list_records(paths.servers)
    return tuple(view(paths, record) for record in listing.records), listing.warnings


def pick(paths: Paths, name: str | None) -> ServerRecord:
    """The named server, or the only one there is; a running one before one that has ended."""
    if name is not None:
        record = load_record(paths.servers, name).record
        if record is None:
            raise UserError(f"There is no server {name!r}", hint=_known(paths))
        return record
    views, _ = list_views(paths)
    alive = [each.record for each in views if each.record.state in (ServerState.RUNNING, ServerState.STARTING)]
    candidates = alive or [each.record for each in views]
    if not candidates:
        raise UserError("No server has been started", hint="Start one with `sgcx up rehearsal`, or see `sgcx profiles`")
    if len(candidates) > 1:
        names = ", ".join(record.name for record in candidates)
        raise UserError(f"There are several servers: {names}", hint="Name the one you mean")
    return candidates[0]


def view(paths: Paths, record: ServerRecord) -> ServerView:
    """Looks at the processes and asks the endpoint; a state that proves wrong is corrected on disk."""
    found = survey(paths.servers, record.name)
    healthy = found.child is not None and probe(record.base_url)
    state, reason = _true_state(record, found, healthy)
    if state is not record.state:
        record = replace(record, state=state, exit_reason=reason)
        save_record(paths.servers, record)
    return ServerView(record, healthy)


def probe(base_url: str) -> bool:
    """Whether the endpoint says that it can answer."""
    try:
        url = base_url.removesuffix("/v1") + "/health"
        return httpx.get(url, timeout=_PROBE_TIMEOUT_S, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _true_state(record: ServerRecord, found: ServerSurvey, healthy: bool) -> tuple[ServerState, str | None]:
    ended = record.state in (ServerState.STOPPED, ServerState.EXITED, ServerState.FATAL)
    if found.child is not None:
        if healthy:
            return ServerState.RUNNING, None
        return (ServerState.STARTING if record.ready_at is None else record.state), record.exit_reason
    if ended:
        return record.state, record.exit_reason
    failure = classify(tail(Path(record.log_path), _CLASSIFIED_LINES), None)
    return (ServerState.FATAL if record.ready_at is None else ServerState.EXITED), failure.message


def _known(paths: Paths) -> str:
    names = [record.name for record in list_records(paths.servers).records]
    return f"Servers: {', '.join(names)}" if names else "Start one with `sgcx up`"
