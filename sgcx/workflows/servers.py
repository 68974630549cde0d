"""Which server a command means, and what is true of it now."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import httpx
import psutil

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.server.child_config import CONFIG_NAME, load_child_config
from sgcx.server.failure import classify
from sgcx.server.locks import supervisor_of
from sgcx.server.log_reading import tail
from sgcx.server.ports import client_url
from sgcx.server.records import (
    ServerRecord,
    ServerState,
    announced_gateway,
    list_records,
    load_record,
    note_record,
    server_names,
)
from sgcx.server.supervisor import ChildHandle, ServerSurvey, survey

_PROBE_TIMEOUT_S = 5.0
_CLASSIFIED_LINES = 400
_UNKNOWN = "unknown"


class Answer(Enum):
    """What an endpoint says when it is asked for its health."""

    READY = "ready"
    REFUSES = "refuses"
    """It does not serve yet, or no more."""
    SILENT = "silent"
    """It takes the question and gives no answer in time, as behind a very long prompt."""
    CLOSED = "closed"
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class ServerView:
    """A record made true: its state is what was found, not what was written.

    Not `recorded`: the server's record is missing, damaged or another one's, and this one was put together from
    what its child was told. It is never written down.
    """

    record: ServerRecord
    answer: Answer
    recorded: bool = True
    supervised: bool = False
    """Something starts it again when it ends by itself."""

    @property
    def healthy(self) -> bool:
        return self.answer is Answer.READY


def list_views(paths: Paths) -> tuple[tuple[ServerView, ...], tuple[str, ...]]:
    views = (find_view(paths, name) for name in server_names(paths.servers))
    return tuple(each for each in views if each is not None), list_records(paths.servers).warnings


def find_view(paths: Paths, name: str) -> ServerView | None:
    """The server of that name, if it lives or has a record."""
    found = survey(paths.servers, name)
    unrecorded = find_unrecorded(found)
    if unrecorded is not None or found.loaded.record is None:
        return unrecorded
    return view_of(paths, found.loaded.record, found)


def pick(paths: Paths, name: str | None) -> ServerRecord:
    """The record of the server that `pick_view` finds."""
    found = pick_view(paths, name)
    if not found.recorded:
        server = found.record.name
        raise UserError(
            f"The server {server!r} runs, but {found.record.exit_reason}",
            hint=f"Stop it with `sgcx down {server}`, then start it again",
        )
    return found.record


def pick_view(paths: Paths, name: str | None) -> ServerView:
    """The named server, or the only one there is; a running one before one that has ended."""
    if name is not None:
        found = find_view(paths, name)
        if found is None:
            raise UserError(f"There is no server {name!r}", hint=_known(paths))
        return found
    views, _ = list_views(paths)
    alive = [each for each in views if is_there(each)]
    candidates = alive or list(views)
    if not candidates:
        raise UserError("No server has been started", hint="Start one with `sgcx up rehearsal`, or see `sgcx profiles`")
    if len(candidates) > 1:
        names = ", ".join(each.record.name for each in candidates)
        raise UserError(f"There are several servers: {names}", hint="Name the one you mean")
    return candidates[0]


def is_there(view: ServerView) -> bool:
    """It runs, begins to, ends, or will be started again."""
    return view.record.state not in (ServerState.STOPPED, ServerState.EXITED, ServerState.FATAL)


def view_of(paths: Paths, record: ServerRecord, found: ServerSurvey) -> ServerView:
    """Asks the endpoint, too; a state that proves wrong is corrected on disk."""
    answer = ask_health(record.base_url) if found.child is not None else Answer.CLOSED
    supervised = supervisor_of(record.server_dir) is not None
    if supervised and found.child is None:  # it writes the record itself, and soon
        return ServerView(record, answer, supervised=True)
    state, reason = _true_state(record, found, answer)
    if state is not record.state:
        record = _correct(paths, record, state, reason)
    return ServerView(record, answer, supervised=supervised)


def find_unrecorded(found: ServerSurvey) -> ServerView | None:
    """A living child that no record names: its `up` was killed, or the record came to harm."""
    child, record = found.child, found.loaded.record
    if child is None or (record is not None and record.pid == child.identity.pid):
        return None
    rebuilt = _rebuild(child, "its record is missing" if found.loaded.warning is None else "its record is damaged")
    answer = ask_health(rebuilt.base_url)
    state = ServerState.RUNNING if answer in (Answer.READY, Answer.SILENT) else ServerState.STARTING
    return ServerView(replace(rebuilt, state=state), answer, recorded=False)


def probe(base_url: str) -> bool:
    """Whether the endpoint says that it can answer."""
    return ask_health(base_url) is Answer.READY


def ask_health(base_url: str) -> Answer:
    try:
        url = base_url.removesuffix("/v1") + "/health"
        status = httpx.get(url, timeout=_PROBE_TIMEOUT_S, trust_env=False).status_code
    except httpx.ReadTimeout:
        return Answer.SILENT
    except (httpx.HTTPError, httpx.InvalidURL):
        return Answer.CLOSED
    return Answer.READY if status == 200 else Answer.REFUSES


def _true_state(record: ServerRecord, found: ServerSurvey, answer: Answer) -> tuple[ServerState, str | None]:
    if found.child is not None:
        if record.state is ServerState.STOPPING:  # it may answer until it has been told
            return record.state, record.exit_reason
        if answer is Answer.READY:
            return ServerState.RUNNING, None
        return (ServerState.STARTING if record.ready_at is None else record.state), record.exit_reason
    match record.state:
        case ServerState.STOPPED | ServerState.EXITED | ServerState.FATAL:
            return record.state, record.exit_reason
        case ServerState.STOPPING:
            return ServerState.STOPPED, "stopped by `sgcx down`"
        case ServerState.STARTING | ServerState.RUNNING | ServerState.BACKOFF:
            failure = classify(tail(Path(record.log_path), _CLASSIFIED_LINES), None)
            return (ServerState.FATAL if record.ready_at is None else ServerState.EXITED), failure.message


def _correct(paths: Paths, record: ServerRecord, state: ServerState, reason: str | None) -> ServerRecord:
    """Unless an `up` or `down` has written meanwhile: that knows more than what was seen before."""
    now = load_record(paths.servers, record.name).record
    if now is not None and (now.pid, now.state) != (record.pid, record.state):
        return now
    corrected = replace(record, state=state, exit_reason=reason)
    if state is ServerState.RUNNING and record.ready_at is None:
        corrected = replace(corrected, ready_at=time.time(), gateway_reason=announced_gateway(record.server_dir))
    if now is not None:
        note_record(paths.servers, corrected)
    return corrected


def _rebuild(child: ChildHandle, reason: str) -> ServerRecord:
    """What can be known of a server without its record."""
    host, port, model, context_length = _told(child)
    return ServerRecord(
        name=child.server_dir.name,
        profile=_UNKNOWN,
        served_model_name=model,
        state=ServerState.STARTING,
        pid=child.identity.pid,
        pid_create_time=child.identity.create_time,
        boot_id=child.identity.boot_id,
        host=host,
        port=port,
        base_url=f"{client_url(host, port)}/v1" if port else "",
        engine=_UNKNOWN,
        sglang_version=_UNKNOWN,
        started_at=psutil.boot_time() + child.identity.create_time,
        log_path=str(child.log_path),
        context_length=context_length,
        exit_reason=reason,
    )


def _told(child: ChildHandle) -> tuple[str, int, str, int | None]:
    """Host, port, model and context length, from the file that the child was started with."""
    try:
        config = load_child_config(child.server_dir / CONFIG_NAME)
        arguments = dict(zip(config.sglang_argv, config.sglang_argv[1:], strict=False))
        return arguments["--host"], int(arguments["--port"]), config.served_model_name, config.context_length
    except (UserError, KeyError, TypeError, ValueError):
        return "", 0, _UNKNOWN, None


def _known(paths: Paths) -> str:
    names = [record.name for record in list_records(paths.servers).records]
    return f"Servers: {', '.join(names)}" if names else "Start one with `sgcx up`"
