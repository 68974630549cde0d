"""Runs one generation: its deltas as the events of a response.

`Generation.peek` decides between an error with a status and a stream: it waits for the engine's first delta, so that
a refusal still has its status, but not for ever, since clients give up on a silent socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator

from sgcx.errors import EngineError
from sgcx.http.metrics import ResponseWatch
from sgcx.responses.deltas import EngineDelta, Failed
from sgcx.responses.events import Event
from sgcx.responses.stream import ResponseStream

logger = logging.getLogger(__name__)


class Generation:
    """A running engine request: the `first` delta, None where there is none, and the `rest`.

    Closing it aborts what still runs.
    """

    refusal: EngineError | None = None
    """What the engine raised after `peek`, for an answer whose status is still open."""

    def __init__(self, deltas: AsyncGenerator[EngineDelta, None], watch: ResponseWatch) -> None:
        self.watch = watch
        self.rest = deltas
        self.first = asyncio.ensure_future(anext(deltas, None))
        self.first.add_done_callback(watch.see_first)

    async def peek(self, timeout_s: float) -> None:
        """Raises what the engine raises within `timeout_s`; after that, errors belong into the stream."""
        try:
            await asyncio.wait({self.first}, timeout=timeout_s)
            if self.first.done():
                self.first.result()
        except BaseException:
            await self.close()
            raise

    @property
    def begun(self) -> bool:
        """The engine's first delta is here."""
        return self.first.done() and not self.first.cancelled() and self.first.exception() is None

    async def close(self) -> None:
        self.first.cancel()
        await asyncio.wait({self.first})
        if not self.first.cancelled():
            self.first.exception()  # heard by whoever iterates; here it only must not go unretrieved
        await self.rest.aclose()


async def events(
    generation: Generation, stream: ResponseStream, *, request_id: str
) -> AsyncGenerator[list[Event], None]:
    """The events of one response in the order they happen, ending with exactly one terminal event."""
    generation.watch.start()
    opening = stream.start()
    try:
        if not generation.begun:
            yield opening
            opening = []
        if (first := await generation.first) is not None:
            # Where it is here already, it leaves together with the opening: a write less before the first token.
            opening += stream.feed(first)
        yield opening
        opening = []
        async for delta in generation.rest:
            yield stream.feed(delta)
    except EngineError as error:
        generation.refusal = error
        yield [*opening, *_failure(stream, Failed.of(error))]
    except Exception:
        logger.exception("request %s failed while streaming", request_id)
        told = f"Internal error; the server's log has the details under {request_id}"
        yield [*opening, *_failure(stream, Failed("server_error", told))]
    else:
        yield _failure(stream, Failed("server_error", "The engine ended without a result"))
    finally:
        await generation.close()
        generation.watch.end(stream)
        _log_checks(stream, request_id)
        _log_end(stream, request_id)


def _log_checks(stream: ResponseStream, request_id: str) -> None:
    for check in stream.checks:
        match check.verdict:
            case "differs" if check.matching == check.characters:
                problem = "ends too early for its grammar"
            case "differs":
                problem = f"does not match its grammar from character {check.matching + 1} on"
            case "unchecked":
                problem = "takes too long to check against its grammar"
            case "matches":
                continue
        logger.warning("%s: the input of the tool %r %s", request_id, check.tool, problem)


def _log_end(stream: ResponseStream, request_id: str) -> None:
    usage = stream.usage
    if usage is None:
        # A client that leaves, or cancels, takes the stream away before it has an end.
        how = "was left before its end" if stream.state == "streaming" else f"ended as {stream.status}"
        logger.info("%s %s", request_id, how)
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


def _failure(stream: ResponseStream, failed: Failed) -> list[Event]:
    return stream.feed(failed) if stream.state == "streaming" else []
