"""Wait until the server answers, or explain why it does not.

The endpoint decides: ready is when `health` says so. The log gives the stages for people, and the reason when
the child ends. A child that logged something it cannot recover from is given a moment to end by itself and then
counts as failed although it lives, because SGLang whose port was taken stays and serves nobody.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sgcx.errors import LaunchFailed
from sgcx.server.failure import Failure, FailureCause, classify, is_fatal
from sgcx.server.launch_progress import LaunchFacts, LaunchProgress, LaunchStage, StageChange
from sgcx.server.log_reading import LineSplitter, LogReader
from sgcx.server.records import ServerRecord
from sgcx.server.redaction import redact
from sgcx.server.supervisor import Alive, ChildHandle, Dead, liveness

LOG_TAIL_LINES = 20
_REMEMBERED_LINES = 2000
_POLL_S = 0.2
_HEALTH_BEFORE_HTTP_S = 5.0
_FATAL_GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Ready:
    """`stage_seconds`: when each stage was seen, counted from the beginning of the wait."""

    seconds: float
    facts: LaunchFacts
    stage_seconds: tuple[tuple[LaunchStage, float], ...]


def wait_ready(
    server: ServerRecord | ChildHandle,
    *,
    log_path: Path,
    health: Callable[[], bool | int],
    on_stage: Callable[[StageChange], None] = lambda _: None,
    deadline_s: float,
    poll_interval_s: float = _POLL_S,
    fatal_grace_s: float = _FATAL_GRACE_S,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> Ready:
    """`health` answers True or 200 when the server is ready, anything else while it is not; a refused connection
    is such an answer, no exception.

    Raises LaunchFailed when the child ends, cannot recover, or is not ready in `deadline_s`. It ends nothing.
    """
    watch = _Watch(log_path, on_stage, clock)
    probe = _HealthProbe(health, clock)
    try:
        while True:
            verdict = liveness(server)
            watch.read()
            if isinstance(verdict, Dead):
                raise watch.failed(verdict)
            if watch.hopeless_for(fatal_grace_s):
                raise watch.failed(None)
            if probe.is_ready(listening=watch.is_listening):
                watch.read()
                # After a fatal line whoever answers on our port is somebody else, or about to end.
                if not watch.is_hopeless and isinstance(liveness(server), Alive):
                    return watch.ready()
            if watch.elapsed >= deadline_s:
                raise watch.late(deadline_s)
            wait(poll_interval_s)
    finally:
        watch.close()


class _HealthProbe:
    """Asks at every poll once the endpoint is up, and now and then before, in case the log says nothing."""

    def __init__(self, health: Callable[[], bool | int], clock: Callable[[], float]) -> None:
        self._health = health
        self._clock = clock
        self._asked = clock()

    def is_ready(self, *, listening: bool) -> bool:
        if not listening and self._clock() - self._asked < _HEALTH_BEFORE_HTTP_S:
            return False
        answer = self._health()
        self._asked = self._clock()
        return answer is True or answer == 200


class _Watch:
    def __init__(self, log_path: Path, on_stage: Callable[[StageChange], None], clock: Callable[[], float]) -> None:
        self._log_path = log_path
        self._on_stage = on_stage
        self._clock = clock
        self._began = clock()
        self._reader = LogReader(log_path)
        self._splitter = LineSplitter()
        self._lines: deque[str] = deque(maxlen=_REMEMBERED_LINES)
        self._progress = LaunchProgress()
        self._seen: list[tuple[LaunchStage, float]] = []
        self._fatal_since: float | None = None
        self._note(StageChange(LaunchStage.STARTING))

    @property
    def elapsed(self) -> float:
        return self._clock() - self._began

    @property
    def stage(self) -> LaunchStage:
        return self._progress.stage

    @property
    def is_listening(self) -> bool:
        return self.stage.position >= LaunchStage.HTTP.position

    @property
    def is_hopeless(self) -> bool:
        return self._fatal_since is not None

    def read(self) -> None:
        while chunk := self._reader.read():
            for line in self._splitter.feed(chunk):
                self._take(line)

    def close(self) -> None:
        self._reader.close()

    def hopeless_for(self, seconds: float) -> bool:
        return self._fatal_since is not None and self._clock() - self._fatal_since >= seconds

    def ready(self) -> Ready:
        if self.stage is not LaunchStage.READY:
            self._note(StageChange(LaunchStage.READY))
        return Ready(self.elapsed, self._progress.facts, tuple(self._seen))

    def failed(self, verdict: Dead | None) -> LaunchFailed:
        for line in self._splitter.finish():
            self._take(line)
        exit_code = verdict.exit_code if verdict is not None else None
        return self._error(classify(list(self._lines), exit_code))

    def late(self, deadline_s: float) -> LaunchFailed:
        failure = classify(list(self._lines), None)
        late = f"the server was not ready after {deadline_s:.0f} s; it was at: {self.stage.label}"
        if failure.cause is FailureCause.UNKNOWN:
            hint = "a cold or slow disk needs more time: raise the time limit, or follow `sgcx logs -f`"
            return self._error(Failure(failure.cause, late, hint))
        return self._error(dataclasses.replace(failure, message=f"{late}; {failure.message}"))

    def _take(self, line: str) -> None:
        self._lines.append(line)
        if self._fatal_since is None and is_fatal(line):
            self._fatal_since = self._clock()
        change = self._progress.feed(line)
        if change is not None:
            self._note(change)

    def _note(self, change: StageChange) -> None:
        if not self._seen or self._seen[-1][0] is not change.stage:
            self._seen.append((change.stage, self.elapsed))
        self._on_stage(change)

    def _error(self, failure: Failure) -> LaunchFailed:
        last = tuple(redact(line) for line in list(self._lines)[-LOG_TAIL_LINES:])
        return LaunchFailed(failure.message, hint=failure.hint, log_tail=last, log_path=str(self._log_path))
