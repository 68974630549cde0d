"""Runs one generation and writes its events to the client.

`Generation.peek` decides between an HTTP error and a stream: it waits for the engine's first delta, so that a
refusal still has its status, but not for ever, since clients give up on a silent socket. `EventStream` then
owns the socket: events as they come, a heartbeat where the engine is silent, an abort as soon as the client is
gone, and exactly one terminal event in every other case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

from starlette.types import Receive, Scope, Send

from sgcx.errors import EngineError
from sgcx.responses import sse
from sgcx.responses.deltas import EngineDelta, Failed
from sgcx.responses.events import Event
from sgcx.responses.stream import ResponseStream

logger = logging.getLogger(__name__)


class Generation:
    """A running engine request. Iterate it once; closing it aborts what still runs."""

    refusal: EngineError | None = None
    """What the engine raised after `peek`, for an answer whose status is still open."""

    def __init__(self, deltas: AsyncGenerator[EngineDelta, None]) -> None:
        self._deltas = deltas
        self._first = asyncio.ensure_future(anext(deltas, None))

    async def peek(self, timeout_s: float) -> None:
        """Raises what the engine raises within `timeout_s`; after that, errors belong into the stream."""
        try:
            await asyncio.wait({self._first}, timeout=timeout_s)
            if self._first.done():
                self._first.result()
        except BaseException:
            await self.close()
            raise

    async def __aiter__(self) -> AsyncIterator[EngineDelta]:
        delta = await self._first
        while delta is not None:
            yield delta
            delta = await anext(self._deltas, None)

    async def close(self) -> None:
        self._first.cancel()
        await asyncio.wait({self._first})
        if not self._first.cancelled():
            self._first.exception()  # heard by whoever iterates; here it only must not go unretrieved
        await self._deltas.aclose()


async def events(
    generation: Generation, stream: ResponseStream, *, request_id: str
) -> AsyncGenerator[list[Event], None]:
    """The events of one response in the order they happen, ending with exactly one terminal event."""
    try:
        yield stream.start()
        async for delta in generation:
            yield stream.feed(delta)
    except EngineError as error:
        generation.refusal = error
        yield _failure(stream, error.code or "server_error", error.message)
    except Exception:
        logger.exception("request %s failed while streaming", request_id)
        yield _failure(stream, "server_error", f"Internal error; the server's log has the details under {request_id}")
    else:
        yield _failure(stream, "server_error", "The engine ended without a result")
    finally:
        await generation.close()
        _log_end(stream, request_id)


def _log_end(stream: ResponseStream, request_id: str) -> None:
    usage = stream.usage
    if usage is None:
        logger.info("%s ended as %s", request_id, stream.status)
        return
    logger.info(
        "%s ended as %s: input_tokens=%d cached_tokens=%d output_tokens=%d reasoning_tokens=%d",
        request_id,
        stream.status,
        usage.input_tokens,
        usage.cached_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )


def _failure(stream: ResponseStream, code: str, message: str) -> list[Event]:
    return stream.feed(Failed(code, message)) if stream.state == "streaming" else []


async def terminal_event(batches: AsyncGenerator[list[Event], None], receive: Receive) -> Event | None:
    """Drains a response that is not streamed. None: the client left, and the generation was aborted."""
    await anext(batches)  # a generator that never started would not clean up when it is closed
    last = asyncio.ensure_future(_last(batches))
    gone = asyncio.ensure_future(disconnected(receive))
    try:
        await asyncio.wait({last, gone}, return_when=asyncio.FIRST_COMPLETED)
        return last.result() if last.done() else None
    finally:
        for task in (last, gone):
            task.cancel()
        await asyncio.gather(last, gone, return_exceptions=True)
        await batches.aclose()


async def _last(batches: AsyncGenerator[list[Event], None]) -> Event | None:
    last: Event | None = None
    async for batch in batches:
        last = batch[-1] if batch else last
    return last


class EventStream:
    """An ASGI response. `heartbeat_s`: the longest silence towards the client."""

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
            *((name.encode(), value.encode()) for name, value in headers.items()),
        ]
        self._writing = asyncio.Lock()
        self._wrote_at = 0.0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        tasks: list[asyncio.Task[None]] = []
        # A generator that never started would not clean up when it is closed, so it starts before anything can fail.
        first = await anext(self._batches)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers})
            writer = asyncio.ensure_future(self._write_events(first, send))
            tasks = [
                writer,
                asyncio.ensure_future(disconnected(receive)),
                asyncio.ensure_future(self._heartbeats(send)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._batches.aclose()
        if not writer.cancelled() and (error := writer.exception()) is not None and not isinstance(error, OSError):
            raise error

    async def _write_events(self, first: list[Event], send: Send) -> None:
        await self._write(first, send)
        async for batch in self._batches:
            await self._write(batch, send)
        await send({"type": "http.response.body", "body": sse.DONE, "more_body": False})

    async def _write(self, batch: list[Event], send: Send) -> None:
        if batch:
            async with self._writing:
                await send(_body(b"".join(map(sse.encode, batch))))
                self._wrote_at = asyncio.get_running_loop().time()

    async def _heartbeats(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        self._wrote_at = loop.time()
        while True:
            silent_s = loop.time() - self._wrote_at
            if silent_s < self._heartbeat_s:
                await asyncio.sleep(self._heartbeat_s - silent_s)
                continue
            # While a write waits, the client is not starving; and a beat numbered now would overtake it.
            if self._stream.state == "streaming" and not self._writing.locked():
                async with self._writing:
                    await send(_body(sse.encode(self._stream.heartbeat())))
            self._wrote_at = loop.time()


def _body(data: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": data, "more_body": True}


async def disconnected(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
