"""When a server that ended is started again, and when no more. Pure: events in, decisions out.

RUNNING ─ ended → BACKOFF ─ waited → STARTING ─ ready → RUNNING
             └ too often → FATAL         └ ended → BACKOFF or FATAL
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from sgcx.server.records import ServerState


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Delays double from the first to the longest. A server that ran for `stable_s` begins with a clean sheet."""

    attempts: int = 5
    first_delay_s: float = 1.0
    longest_delay_s: float = 60.0
    stable_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Started:
    """It is being started."""


@dataclass(frozen=True, slots=True)
class BecameReady:
    at_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """By itself, while it ran or while it started."""

    at_s: float
    reason: str


RestartEvent: TypeAlias = Started | BecameReady | Ended


@dataclass(frozen=True, slots=True)
class StartAfter:
    delay_s: float
    attempt: int
    """The first after a stable time is 1."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    reason: str


class Restarting:
    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._state = ServerState.STARTING
        self._ready_at_s: float | None = None
        self._attempt = 0

    @property
    def state(self) -> ServerState:
        return self._state

    def feed(self, event: RestartEvent) -> StartAfter | GiveUp | None:
        """A decision when it ended, None otherwise."""
        match event:
            case Started():
                self._state = ServerState.STARTING
                return None
            case BecameReady(at_s):
                self._state, self._ready_at_s = ServerState.RUNNING, at_s
                return None
            case Ended():
                return self._decide(event)
            case other:
                assert_never(other)

    def _decide(self, ended: Ended) -> StartAfter | GiveUp:
        if self._ready_at_s is not None and ended.at_s - self._ready_at_s >= self._policy.stable_s:
            self._attempt = 0
        self._ready_at_s = None
        if self._attempt >= self._policy.attempts:
            self._state = ServerState.FATAL
            return GiveUp(f"given up after {self._attempt} restarts; the last time {ended.reason}")
        delay_s = min(self._policy.first_delay_s * 2**self._attempt, self._policy.longest_delay_s)
        self._attempt += 1
        self._state = ServerState.BACKOFF
        return StartAfter(delay_s, self._attempt)
