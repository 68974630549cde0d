"""Responses that go on without their client: created with `background`, looked up, followed or cancelled later.

A run lives here until the store has its result, so that its id is known at every moment. Runs do not outlive the
process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from math import inf

from sgcx.http.event_stream import EventStream
from sgcx.http.turn.keeping import Batches, Turn
from sgcx.responses.events import Event
from sgcx.responses.output.replay import condense, snapshot
from sgcx.responses.stream import ResponseStream
from sgcx.responses.wire import JsonObject

logger = logging.getLogger(__name__)


class Run:
    def __init__(self, stream: ResponseStream, turn: Turn, *, heartbeat_s: float) -> None:
        self.stream = stream
        self._turn = turn
        self._heartbeat_s = heartbeat_s
        self._events: list[Event] = []
        self._ended = False
        self._changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def response(self) -> JsonObject:
        """As far as it has come."""
        return snapshot(self._events)

    async def started(self) -> None:
        while not self._events and not self._ended:
            await self._changed.wait()

    async def drain(self, batches: Batches) -> None:
        try:
            async for batch in batches:
                self._events += batch
                self._tell()
        finally:
            await batches.aclose()
            self._ended = True
            self._tell()

    async def keep_cancelled(self) -> JsonObject:
        response: JsonObject = {**self.response, "status": "cancelled"}
        await self._turn.keep(response, [kept for event in self._events if (kept := condense(event)) is not None])
        return response

    def event_stream(self, headers: Mapping[str, str], *, starting_after: int = -1) -> EventStream:
        """What `follow` tells, for a client."""
        return EventStream(self.follow(starting_after), self.stream, heartbeat_s=inf, headers=headers)

    async def follow(self, starting_after: int = -1) -> AsyncGenerator[list[Event], None]:
        """Events numbered higher than `starting_after`, as they come. Leaving does not end the run.

        Signs of life are among them: events of the run, so that all who follow see the same ones in the same place.
        """
        seen = 0
        while True:
            new, seen = self._events[seen:], len(self._events)
            yield [event for event in new if _number(event) > starting_after]
            if self._ended and seen == len(self._events):
                return
            if seen == len(self._events):
                await self._wait_for_more()

    async def _wait_for_more(self) -> None:
        try:
            async with asyncio.timeout(self._heartbeat_s):
                await self._changed.wait()
        except TimeoutError:
            # A stream that is closed has numbered its last event, also where that is still being kept.
            if self.stream.state == "streaming":
                self._events.append(self.stream.heartbeat())
                self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class BackgroundRuns:
    """`heartbeat_s`: the longest silence towards those who follow a run."""

    def __init__(self, *, heartbeat_s: float) -> None:
        self._heartbeat_s = heartbeat_s
        self._runs: dict[str, Run] = {}

    def find(self, response_id: str) -> Run | None:
        return self._runs.get(response_id)

    def start(self, stream: ResponseStream, turn: Turn, batches: Batches) -> Run:
        """`batches` come out of `turn.kept`."""
        run = Run(stream, turn, heartbeat_s=self._heartbeat_s)
        self._runs[stream.response_id] = run
        run.task = asyncio.create_task(self._to_its_end(run, batches))
        return run

    async def _to_its_end(self, run: Run, batches: Batches) -> None:
        try:
            await run.drain(batches)
        except Exception:
            logger.exception("background response %s broke", run.stream.response_id)
        self._runs.pop(run.stream.response_id, None)

    async def cancel(self, response_id: str) -> JsonObject | None:
        """The cancelled response. None: no such run, or it ended just before and the store has it."""
        run = self._runs.get(response_id)
        if run is None or run.task is None:
            return None
        await run.started()
        run.task.cancel()
        await asyncio.wait({run.task})
        response = None if run.stream.state == "closed" else await run.keep_cancelled()
        self._runs.pop(response_id, None)
        return response


def _number(event: Mapping[str, object]) -> int:
    number = event["sequence_number"]
    assert isinstance(number, int)
    return number
