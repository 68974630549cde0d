"""A second try where the model ends its turn without an answer: with thoughts only, or with nothing.

Clients take such a response for a finished turn and stop working. The prompt is in the cache by then, so trying
again costs only what is generated.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from sgcx.responses.deltas import EngineDelta, Finished, ReasoningDelta, Usage
from sgcx.responses.engine import Engine, EngineRequest


async def generate_answer(engine: Engine, request: EngineRequest) -> AsyncGenerator[EngineDelta, None]:
    """The deltas of `engine.generate(request)`, and of one more try where they hold no answer.

    Both tries have the same prompt, the conversation as the client knows it. In what the client sees, the thoughts
    of the second follow those of the first.
    """
    tried: Finished | None = None
    async with aclosing(engine.generate(request)) as deltas:
        answered = False
        async for delta in deltas:
            if isinstance(delta, Finished) and delta.reason == "stop" and not answered:
                tried = delta
                break
            answered = answered or not isinstance(delta, ReasoningDelta)
            yield delta
    if tried is None:
        return
    async with aclosing(engine.generate(_again(request, tried.usage))) as deltas:
        async for delta in deltas:
            yield replace(delta, usage=_of_both(tried.usage, delta.usage)) if isinstance(delta, Finished) else delta


def _again(request: EngineRequest, used: Usage) -> EngineRequest:
    room = request.max_new_tokens
    return replace(
        request,
        request_id=f"{request.request_id}-again",
        max_new_tokens=None if room is None else max(1, room - used.output_tokens),
    )


def _of_both(first: Usage, second: Usage) -> Usage:
    """The prompt counts once: clients read the size of the conversation from it."""
    return replace(
        first,
        output_tokens=first.output_tokens + second.output_tokens,
        reasoning_tokens=first.reasoning_tokens + second.reasoning_tokens,
    )
