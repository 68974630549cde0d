"""Writes the events of one response to its client.

`EventPump` knows no transport: events as they come, a heartbeat where the engine is silent, an abort as soon as the
client is gone. `EventStream` is the pump over HTTP, as server-sent events. `terminal_event` is for a client that
wants the whole response and none of its events.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from typing import TypeVar

from starlette.types import Receive, Scope, Send

from sgcx.responses import sse
from sgcx.responses.events import Event
from sgcx.responses.stream import ResponseStream

Result = TypeVar("Result")

Write = Callable[[list[Event]], Awaitable[None]]
"""Puts events on the wire. It waits while the client reads slowly, and raises `OSError` where the client is gone."""


class EventPump:
    """`heartbeat_s`: the longest silence towards the client."""

    def __init__(
        self, batches: AsyncGenerator[list[Event], None], stream: ResponseStream, write: Write, *, heartbeat_s: float
    ) -> None:
        self._batches = batches
        self._stream = stream
        self._put = write
        self._heartbeat_s = heartbeat_s
        self._now = asyncio.get_running_loop().time
        self._writing = False
        self._beating = asyncio.Lock()
        self._wrote_at = 0.0

    async def run(self, gone: Coroutine[object, object, None] | None = None) -> bool:
        """True: all is written. False: the client has left, as `gone` tells by ending.

        However this ends, by cancellation too, the generation has ended with it.
        """
        # A generator that never started would not clean up when it is closed, so it starts before anything can fail.
        first = await anext(self._batches)
        writer = asyncio.ensure_future(self._write_all(first))
        others = [asyncio.ensure_future(task) for task in (self._heartbeats(), gone) if task is not None]
        try:
            await asyncio.wait([writer, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writer, *others):
                task.cancel()
            await asyncio.gather(writer, *others, return_exceptions=True)
            await self._batches.aclose()
        if writer.cancelled() or isinstance(writer.exception(), OSError):
            return False
        writer.result()
        return True

    async def _write_all(self, first: list[Event]) -> None:
        await self._write(first)
        async for batch in self._batches:
            if batch:
                await self._write(batch)

    async def _write(self, batch: list[Event]) -> None:
        if self._beating.locked():
            async with self._beating:
                pass
        self._writing = True  # no lock: this runs for every token, and only beats could come in between
        await self._put(batch)
        self._writing = False
        self._wrote_at = self._now()

    async def _heartbeats(self) -> None:
        self._wrote_at = self._now()
        while True:
            silent_s = self._now() - self._wrote_at
            if silent_s < self._heartbeat_s:
                await asyncio.sleep(self._heartbeat_s - silent_s)
                continue
            # While a write waits, the client is not starving; and a beat numbered now would overtake it.
            if self._stream.state == "streaming" and not self._writing:
                async with self._beating:
                    await self._put([self._stream.heartbeat()])
            self._wrote_at = self._now()


class EventStream:
    """An ASGI response."""

    def __init__(
        self,
        batches: AsyncGenerator[list[Event], None],
        stream: ResponseStream,
        *,
        heartbeat_s: float,
        headers: Mapping[str, str],
    ) -> None:
        self._batches = batches
        self._stream = stream
        self._heartbeat_s = heartbeat_s
        self._headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            *encoded(headers),
        ]

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def write(batch: list[Event]) -> None:
            nonlocal started
            if not started:
                started = True
                await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            # Most batches are the one event of a token.
            body = sse.encode(batch[0]) if len(batch) == 1 else b"".join(map(sse.encode, batch))
            await send({"type": "http.response.body", "body": body, "more_body": True})

        pump = EventPump(self._batches, self._stream, write, heartbeat_s=self._heartbeat_s)
        if await pump.run(disconnected(receive)):
            await send({"type": "http.response.body", "body": sse.DONE, "more_body": False})


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI takes them."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def terminal_event(batches: AsyncGenerator[list[Event], None], receive: Receive) -> Event | None:
    """Drains a response that is not streamed. None: the client left, and the generation was aborted."""
    first = await anext(batches)  # a generator that never started would not clean up when it is closed
    try:
        return await unless_disconnected(_last(first, batches), receive)
    finally:
        await batches.aclose()


async def _last(first: list[Event], batches: AsyncGenerator[list[Event], None]) -> Event | None:
    last = first[-1] if first else None
    async for batch in batches:
        last = batch[-1] if batch else last
    return last


async def unless_disconnected(work: Coroutine[object, object, Result], receive: Receive) -> Result | None:
    """What `work` comes to. None: the client left, and `work` was cancelled."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(disconnected(receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def disconnected(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
