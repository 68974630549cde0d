"""A server is watched, and started again when it ends by itself. There is still no daemon: one small process per
server that was started with `--restart`, which ends with it.

`sgcx down` ends the watching first, so that it never restarts what was stopped on purpose.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sgcx.errors import LaunchFailed, SgcxError, UserError
from sgcx.paths import Paths
from sgcx.server.failure import classify
from sgcx.server.launch_recipe import load_recipe
from sgcx.server.locks import hold_supervisor_lock, hold_up_lock, supervisor_of
from sgcx.server.log_reading import tail
from sgcx.server.records import ServerRecord, ServerState, load_record, note_record, server_dir
from sgcx.server.restarting import BecameReady, Ended, GiveUp, Restarting, RestartPolicy, StartAfter, Started
from sgcx.server.supervisor import ChildHandle, Dead, liveness, survey
from sgcx.workflows.launch import OnEvent, end_child, launch

COMMAND: tuple[str, ...] = (sys.executable, "-m", "sgcx")
_LOG_NAME = "supervisor.log"
_START_DEADLINE_S = 30.0
_POLL_S = 0.2
_CLASSIFIED_LINES = 400

OnNote = Callable[[str], None]


def start_supervisor(paths: Paths, name: str) -> None:
    """In the background: a process of its own session, which outlives this one. None is started beside another."""
    directory = server_dir(paths.servers, name)
    if supervisor_of(directory) is not None:
        return
    log = os.open(directory / _LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [*COMMAND, "supervise", name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(log)
    deadline = time.monotonic() + _START_DEADLINE_S
    while supervisor_of(directory) is None:
        if process.poll() is not None or time.monotonic() >= deadline:
            process.kill()
            process.wait()
            raise LaunchFailed(
                f"The server {name!r} runs, but nothing watches it: its supervisor did not start",
                log_tail=tuple(tail(directory / _LOG_NAME, 20)),
                log_path=str(directory / _LOG_NAME),
            )
        time.sleep(_POLL_S)


def supervise(
    name: str, paths: Paths, *, on_event: OnEvent, on_note: OnNote, policy: RestartPolicy | None = None
) -> None:
    """Returns when the server was stopped on purpose. Raises LaunchFailed when it is given up, and KeyboardInterrupt
    when it is told to leave: a running server stays then, one that is starting is ended."""
    directory = server_dir(paths.servers, name)
    record = load_record(paths.servers, name).record
    if record is None or not survey(paths.servers, name).alive:
        raise UserError(f"The server {name!r} does not run", hint="Start it with `sgcx up`")
    with hold_supervisor_lock(directory):
        _Supervision(record, paths, on_event, on_note, policy or RestartPolicy()).run()


class _Supervision:
    def __init__(
        self, record: ServerRecord, paths: Paths, on_event: OnEvent, on_note: OnNote, policy: RestartPolicy
    ) -> None:
        self._name = record.name
        self._paths = paths
        self._on_event = on_event
        self._on_note = on_note
        self._child: ServerRecord | ChildHandle = record
        self._restarts = record.restarts
        self._machine = Restarting(policy)
        self._machine.feed(BecameReady(time.monotonic()))

    def run(self) -> None:
        while True:
            verdict = self._await_end()
            if self._was_stopped():
                return
            reason: str | None = classify(tail(self._log_path, _CLASSIFIED_LINES), verdict.exit_code).message
            while reason is not None:
                reason = self._restart(reason)

    @property
    def _log_path(self) -> Path:
        return server_dir(self._paths.servers, self._name) / "server.log"

    def _await_end(self) -> Dead:
        while not isinstance(verdict := liveness(self._child), Dead):
            time.sleep(_POLL_S)
        return verdict

    def _was_stopped(self) -> bool:
        record = load_record(self._paths.servers, self._name).record
        return record is None or record.state in (ServerState.STOPPING, ServerState.STOPPED)

    def _restart(self, reason: str) -> str | None:
        """None when it is ready again, otherwise why it is not."""
        decision = self._machine.feed(Ended(time.monotonic(), reason))
        match decision:
            case GiveUp(why):
                self._write(ServerState.FATAL, why, None)
                raise LaunchFailed(f"The server {self._name!r} is {why}", log_path=str(self._log_path))
            case StartAfter(delay_s, attempt):
                self._write(ServerState.BACKOFF, reason, time.time() + delay_s)
                self._tell(f"{self._name} ended: {reason}; restart {attempt} in {delay_s:.0f} s")
                time.sleep(delay_s)
            case None:
                raise AssertionError("an end is always followed by a decision")
        self._machine.feed(Started())
        self._restarts += 1
        try:
            self._launch()
        except SgcxError as error:
            return error.message
        except OSError as error:
            return str(error)
        self._machine.feed(BecameReady(time.monotonic()))
        self._tell(f"{self._name} runs again")
        return None

    def _launch(self) -> None:
        directory = server_dir(self._paths.servers, self._name)
        with hold_up_lock(directory):
            end_child(self._paths, self._name)  # workers that outlived their leader
            launched = launch(load_recipe(directory), self._paths, self._on_event, restarts=self._restarts)
        self._child = launched.child

    def _write(self, state: ServerState, reason: str, restart_at: float | None) -> None:
        record = load_record(self._paths.servers, self._name).record
        if record is not None:
            note_record(self._paths.servers, replace(record, state=state, exit_reason=reason, restart_at=restart_at))

    def _tell(self, note: str) -> None:
        with suppress(OSError):  # a log that takes no more is no reason to leave the server alone
            self._on_note(note)
