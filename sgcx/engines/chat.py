"""An engine behind HTTP: any server with `/v1/chat/completions`, as a client of it.

What it streams is read as parsed chat deltas, or, where it was started without parsers, as the model's raw text.
Leaving a generation closes its connection; that is how such a server learns that nobody wants the answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Literal

import aiohttp
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
from sgcx.engines.upstream_http import HTTP_ERRORS, UpstreamHttp, succeeded
from sgcx.errors import EngineError
from sgcx.responses.deltas import EngineDelta, Failed, Finished
from sgcx.responses.dialect import Reader
from sgcx.responses.engine import EngineRequest
from sgcx.responses.generation.logprob_alignment import LogprobAlignment
from sgcx.responses.sse import SseDecoder

logger = logging.getLogger(__name__)

_PROBE_TIMEOUT_S = 5.0
_DRAIN_S = 0.1
_DONE = "[DONE]"
_OPEN_REASONING = "<think>"


class ChatEngine:
    """One per process; all generations share its connections. `api_key` is the upstream's."""

    def __init__(self, upstream: Upstream, *, api_key: str | None = None) -> None:
        self._upstream = upstream
        self._http = UpstreamHttp(upstream.url, api_key=api_key)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def healthy(self) -> bool:
        """Every engine lists its models, and no engine takes long to."""
        return await self._http.answers(f"{self._upstream.url}/models", timeout_s=_PROBE_TIMEOUT_S)

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
        body = orjson.dumps(build_count_body(request, self._upstream))
        async with self._asked(url, body, request.request_id) as answer:
            if answer.status in (404, 405, 501):
                raise _no_counts(f"its /tokenize answers {answer.status}")
            if not succeeded(answer):
                raise await self._refused(answer)
            text = await _text(answer)
        match self._decode(text):
            case {"count": int(count)}:
                return count
            case _:
                raise upstream_nonsense("its /tokenize does not say a count")

    def _text_reader(self, request: EngineRequest) -> Reader | None:
        raw = self._upstream.raw
        if raw is None:
            return None
        opened = raw.reasoning_opened and request.thinking
        return raw.dialect.reader(prompt_tail=_OPEN_REASONING if opened else "")

    async def _chunks(self, request: EngineRequest) -> AsyncGenerator[list[Object], None]:
        """The decoded chunks of the stream, those that arrived together in one list. Raises `EngineError` only."""
        decoder = SseDecoder()
        body = orjson.dumps(build_body(request, self._upstream))
        url = f"{self._upstream.url}/chat/completions"
        async with self._asked(url, body, request.request_id) as response:
            if not succeeded(response):
                raise await self._refused(response)
            while piece := await _arrived(response):
                batch, end = self._decode_all(decoder.feed(piece))
                yield batch
                if isinstance(end, EngineError):
                    raise end
                if end is not None:
                    await _drain(response)
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
    async def _asked(self, url: str, body: bytes, request_id: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The open answer. On leaving, a connection that still streams is closed."""
        try:
            answer = await self._http.post(url, body, request_id=request_id)
        except HTTP_ERRORS as error:
            raise upstream_unreachable(_reason(error)) from error
        try:
            yield answer
        finally:
            answer.close()

    async def _refused(self, response: aiohttp.ClientResponse) -> EngineError:
        try:
            body = await response.read()
            message = error_message(orjson.loads(body))
        except HTTP_ERRORS as error:
            message = _reason(error)
        except orjson.JSONDecodeError:
            message = error_message(body.decode(errors="replace"))
        wait = response.headers.get("retry-after", "")
        return upstream_refusal(
            response.status,
            message,
            model=self._upstream.model,
            retry_after_s=int(wait) if wait.isdecimal() else None,
        )


async def _arrived(response: aiohttp.ClientResponse) -> bytes:
    """All that is there, at least one byte; none at the end."""
    try:
        return await response.content.readany()
    except HTTP_ERRORS as error:
        raise EngineError(
            f"The connection to the upstream engine broke: {_reason(error)}",
            code="server_error",
            status=503,
            retry_after_s=1,
        ) from error


async def _text(response: aiohttp.ClientResponse) -> str:
    text = bytearray()
    while piece := await _arrived(response):
        text += piece
    return text.decode(errors="replace")


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read to the end, which is due now: only then can the connection serve the next request."""
    with suppress(TimeoutError, EngineError):
        async with asyncio.timeout(_DRAIN_S):
            while await _arrived(response):
                pass


def _no_counts(problem: str) -> EngineError:
    return EngineError(f"The upstream engine does not count tokens: {problem}", code="unsupported_endpoint", status=501)


def _reason(error: Exception) -> str:
    """For clients. An exception's own words name the engine's address: they are the log's."""
    kind = type(error).__name__
    logger.warning("the upstream engine: %s: %s", kind, error)
    return kind


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
