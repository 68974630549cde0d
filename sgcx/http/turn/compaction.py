"""Compaction as it runs: the model summarizes its own conversation, and goes on from there if it has to answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from sgcx.errors import EngineError
from sgcx.http.turn.prompts import Prompts, with_items
from sgcx.responses.context.compaction import History, compacted, split_history, summary_request
from sgcx.responses.deltas import CompactionFinished, CompactionStarted, EngineDelta, Failed, Finished, TextDelta, Usage
from sgcx.responses.input.compaction import encode_messages
from sgcx.responses.items import Message
from sgcx.responses.request import ResponsesRequest

_THRESHOLD_SHARE = 0.8
"""Of the context, where the client names no threshold."""
_MAX_SUMMARY_TOKENS = 8192
_SUMMARY_SHARE = 8
"""A summary gets at most one part in so many of the context, and so does what the user said."""
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Compacted:
    messages: tuple[Message, ...]
    sealed: str
    usage: Usage
    """Of the summary."""


async def due_history(prompts: Prompts, request: ResponsesRequest) -> History | None:
    """What the request wants compacted before it is answered. None: nothing, it is short enough."""
    wish = request.compaction
    if wish is None:
        return None
    if wish.now:
        return History(request.input, ())
    history = split_history(request.input)
    if not history.has_news:
        return None
    tokens = await prompts.count(request)
    threshold = wish.threshold_tokens or int(prompts.context_length * _THRESHOLD_SHARE)
    return None if tokens is not None and tokens <= threshold else history


async def generate_compacted(
    prompts: Prompts, request: ResponsesRequest, history: History
) -> AsyncGenerator[EngineDelta, None]:
    """The compaction, then the answer, unless compaction was all that is wanted."""
    yield CompactionStarted()
    result = await compact(prompts, request, history)
    yield CompactionFinished(result.sealed)
    if request.compaction is not None and request.compaction.now:
        yield Finished("stop", result.usage)
        return
    async with aclosing(prompts.answer(with_items(request, result.messages))) as deltas:
        async for delta in deltas:
            yield delta


async def compact(prompts: Prompts, request: ResponsesRequest, history: History) -> Compacted:
    """Raises `EngineError`. A past that leaves no room for its summary loses its oldest items first."""
    seal = prompts.endpoint.seal
    if seal is None:
        raise EngineError("This server has no key to seal a compaction with", code="unsupported_endpoint", status=501)
    share = prompts.context_length // _SUMMARY_SHARE
    asked = summary_request(request, history.past, max_tokens=min(share, _MAX_SUMMARY_TOKENS))
    summary, usage = await _summary(prompts, await prompts.fit(asked))
    messages = compacted(history, summary, kept_characters=share * _CHARACTERS_PER_TOKEN)
    try:
        return Compacted(messages, seal.seal(encode_messages(messages), "compaction"), usage)
    except ValueError as error:
        message = "What the model has yet to answer is too large to be sealed with a compaction"
        raise EngineError(message, code="invalid_prompt", status=400) from error


async def _summary(prompts: Prompts, request: ResponsesRequest) -> tuple[str, Usage]:
    """A summary that reached its limit is one all the same."""
    pieces: list[str] = []
    usage = Usage()
    async with aclosing(prompts.engine.generate(prompts.job(request))) as deltas:
        async for delta in deltas:
            match delta:
                case TextDelta(text):
                    pieces.append(text)
                case Finished():
                    usage = delta.usage
                case Failed(code, message):
                    raise EngineError(message, code=code)
                case _:
                    pass
    summary = "".join(pieces).strip()
    if not summary:
        raise EngineError("The model wrote no summary of the conversation", code="server_error")
    return summary, usage
