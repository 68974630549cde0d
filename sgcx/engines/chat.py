"""An engine behind HTTP: any server with `/v1/chat/completions`, as a client of it.

What it streams is read as parsed chat deltas, or, where it was started without parsers, as the model's raw text.
Leaving a generation closes its connection; that is how such a server learns that nobody wants the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Literal, TypeAlias

import httpx
import orjson

from sgcx.engines.chat_chunks import ChatReader, Object, joined
from sgcx.engines.chat_request import Upstream, build_body, build_count_body
from sgcx.engines.refusals import (
    error_message,
    refuses_grammar,
    upstream_nonsense,
    upstream_refusal,
    upstream_unreachable,
)
from sgcx.engines.structural_tags import log_loosened, looser_and_looser
from sgcx.engines.upstream_http import UpstreamHttp
from sgcx.errors import EngineError
from sgcx.responses.deltas import EngineDelta, Failed, Finished
from sgcx.responses.dialect import Reader
from sgcx.responses.engine import EngineRequest
from sgcx.responses.generation.logprob_alignment import LogprobAlignment
from sgcx.responses.sse import SseDecoder

_PROBE_TIMEOUT_S = 5.0
_DRAIN_S = 0.1
_PIECES_AHEAD = 1024
_DONE = "[DONE]"
_OPEN_REASONING = "<think>"

_End: TypeAlias = EngineError | Literal["end"]
_Arrival: TypeAlias = bytes | _End


class ChatEngine:
    """One per process; all generations share its connections. `api_key` is the upstream's."""

    def __init__(self, upstream: Upstream, *, api_key: str | None = None) -> None:
        self._upstream = upstream
        self._http = UpstreamHttp(upstream.url, api_key=api_key)
        self._completions = httpx.URL(f"{upstream.url}/chat/completions")

    async def aclose(self) -> None:
        await self._http.aclose()

    async def healthy(self) -> bool:
        """Every engine lists its models, and no engine takes long to."""
        try:
            answer = await self._http.get(f"{self._upstream.url}/models", timeout_s=_PROBE_TIMEOUT_S)
        except httpx.HTTPError:
            return False
        return answer.is_success

    def generate(self, request: EngineRequest) -> AsyncGenerator[EngineDelta, None]:
        if self._upstream.grammar_dialect is not None and request.constraint.binds:
            return self._generate_as_bound_as_can_be(request)
        return self._generate(request)

    async def _generate_as_bound_as_can_be(self, request: EngineRequest) -> AsyncGenerator[EngineDelta, None]:
        """An engine refuses a request with a grammar that it cannot compile: a looser one is tried."""
        attempts = tuple(looser_and_looser(request.constraint))
        for number, constraint in enumerate(attempts, start=1):
            try:
                async with aclosing(self._generate(replace(request, constraint=constraint))) as deltas:
                    async for delta in deltas:
                        yield delta
                return
            except EngineError as error:
                if number == len(attempts) or not refuses_grammar(error):
                    raise
                log_loosened("constraint", error.message)

    async def _generate(self, request: EngineRequest) -> AsyncGenerator[EngineDelta, None]:
        alignment = None if request.top_logprobs is None else LogprobAlignment()
        reader = ChatReader(self._text_reader(request), alignment)
        started = False
        try:
            async with aclosing(self._chunks(request)) as chunks:
                async for batch in chunks:
                    for delta in joined([delta for chunk in batch for delta in reader.feed(chunk)]):
                        started = True
                        yield delta
            if reader.cut and not started:
                raise upstream_nonsense("it ended before it began")
        except EngineError as error:
            if not started:
                raise
            yield Failed.of(error)
        else:
            yield reader.end()

    async def count_tokens(self, request: EngineRequest) -> int:
        """Asked of the engine; one that counts only what it serves writes one token, and keeps the prompt cached."""
        if self._upstream.tokenize_url is not None:
            return await self._tokenize(self._upstream.tokenize_url, request)
        async with aclosing(self.generate(replace(request, max_new_tokens=1))) as deltas:
            async for delta in deltas:
                match delta:
                    case Finished(usage=usage) if usage.input_tokens:
                        return usage.input_tokens
                    case Failed(code, message):
                        raise EngineError(message, code=code)
        raise _no_counts("its answer has no usage")

    async def _tokenize(self, url: str, request: EngineRequest) -> int:
        body = build_count_body(request, self._upstream)
        try:
            answer = await self._http.post(url, orjson.dumps(body))
        except httpx.HTTPError as error:
            raise upstream_unreachable(_reason(error)) from error
        if answer.status_code in (404, 405, 501):
            raise _no_counts(f"{url} answers {answer.status_code}")
        if not answer.is_success:
            raise await self._refused(answer)
        match self._decode(answer.text):
            case {"count": int(count)}:
                return count
            case _:
                raise upstream_nonsense(f"{url} does not say a count")

    def _text_reader(self, request: EngineRequest) -> Reader | None:
        raw = self._upstream.raw
        if raw is None:
            return None
        opened = raw.reasoning_opened and request.thinking
        return raw.dialect.reader(prompt_tail=_OPEN_REASONING if opened else "")

    async def _chunks(self, request: EngineRequest) -> AsyncGenerator[list[Object], None]:
        """The decoded chunks of the stream, those that arrived together in one list. Raises `EngineError` only."""
        decoder = SseDecoder()
        async with self._response(request) as response, aclosing(_bytes(response)) as pieces:
            async for piece in pieces:
                batch, end = self._decode_all(decoder.feed(piece))
                yield batch
                if isinstance(end, EngineError):
                    raise end
                if end is not None:
                    await _drain(pieces)
                    return

    def _decode_all(self, events: list[str]) -> tuple[list[Object], EngineError | Literal["done"] | None]:
        """The chunks up to the end of the stream, and how it ends if it does here."""
        batch: list[Object] = []
        for data in events:
            if data == _DONE:
                return batch, "done"
            try:
                batch.append(self._decode(data))
            except EngineError as error:
                return batch, error
        return batch, None

    def _decode(self, data: str) -> Object:
        try:
            chunk: object = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise upstream_nonsense("it streams something that is not JSON") from error
        if not isinstance(chunk, dict):
            raise upstream_nonsense("it streams something that is no object")
        if chunk.get("error") or chunk.get("object") == "error":
            raise upstream_refusal(_error_status(chunk), error_message(chunk), model=self._upstream.model)
        return chunk

    @asynccontextmanager
    async def _response(self, request: EngineRequest) -> AsyncIterator[httpx.Response]:
        """The open response with a good status. On leaving, a connection that still streams is closed."""
        body = orjson.dumps(build_body(request, self._upstream))
        try:
            response = await self._http.stream(self._completions, body, request_id=request.request_id)
        except httpx.HTTPError as error:
            raise upstream_unreachable(_reason(error)) from error
        try:
            if not response.is_success:
                raise await self._refused(response)
            yield response
        finally:
            await response.aclose()

    async def _refused(self, response: httpx.Response) -> EngineError:
        try:
            body = await response.aread()
            message = error_message(orjson.loads(body))
        except httpx.HTTPError as error:
            message = _reason(error)
        except orjson.JSONDecodeError:
            message = error_message(body.decode(errors="replace"))
        wait = response.headers.get("retry-after", "")
        return upstream_refusal(
            response.status_code,
            message,
            model=self._upstream.model,
            retry_after_s=int(wait) if wait.isdecimal() else None,
        )


async def _bytes(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """What has arrived, in as few pieces as can be: a task reads ahead while this one is busy with the client."""
    arrived = asyncio.Queue[_Arrival](_PIECES_AHEAD)
    reading = asyncio.ensure_future(_read_ahead(response, arrived))
    try:
        end: _End | None = None
        while end is None:
            pieces, end = await _take(arrived)
            yield b"".join(pieces)
        if isinstance(end, EngineError):
            raise end
    finally:
        reading.cancel()
        await asyncio.wait({reading})


async def _read_ahead(response: httpx.Response, arrived: asyncio.Queue[_Arrival]) -> None:
    end: _End = "end"
    try:
        async for piece in response.aiter_bytes():
            await arrived.put(piece)
    except httpx.HTTPError as error:
        end = EngineError(
            f"The connection to the upstream engine broke: {_reason(error)}",
            code="server_error",
            status=503,
            retry_after_s=1,
        )
    await arrived.put(end)


async def _take(arrived: asyncio.Queue[_Arrival]) -> tuple[list[bytes], _End | None]:
    """All pieces that are there, at least one or the end."""
    pieces: list[bytes] = []
    piece = await arrived.get()
    while isinstance(piece, bytes):
        pieces.append(piece)
        if arrived.empty():
            return pieces, None
        piece = arrived.get_nowait()
    return pieces, piece


async def _drain(pieces: AsyncGenerator[bytes, None]) -> None:
    """Read to the end, which is due now: only then can the connection serve the next request."""
    with suppress(TimeoutError, EngineError):
        async with asyncio.timeout(_DRAIN_S):
            async for _ in pieces:
                pass


def _no_counts(problem: str) -> EngineError:
    return EngineError(f"The upstream engine does not count tokens: {problem}", code="unsupported_endpoint", status=501)


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def _error_status(chunk: Object) -> int:
    """Engines put the status into the error, or beside it; some write a word there."""
    error = chunk.get("error")
    for holder in (error, chunk):
        match holder.get("code") if isinstance(holder, dict) else None:
            case int(code) if 400 <= code < 600:
                return code
            case "429" | "rate_limit_exceeded":
                return 429
    return 500
