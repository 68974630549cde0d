"""A second try where the model ends its turn without an answer: with thoughts only, with nothing, or with blanks.

Clients take such a response for a finished turn and stop working. The prompt is in the cache by then, so trying
again costs only what is generated.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from sgcx.responses.deltas import EngineDelta, Finished, ReasoningDelta, TextDelta, Usage
from sgcx.responses.engine import Engine, EngineRequest


async def generate_answer(engine: Engine, request: EngineRequest) -> AsyncGenerator[EngineDelta, None]:
    """The deltas of `engine.generate(request)`, and of one more try where they hold no answer.

    Both tries have the same prompt, the conversation as the client knows it. In what the client sees, the thoughts
    of the second follow those of the first.
    """
    tried: Finished | None = None
    async with aclosing(_without_blank_answer(engine.generate(request))) as deltas:
        answered = False
        async for delta in deltas:
            if isinstance(delta, Finished) and delta.reason == "stop" and not answered:
                tried = delta
                break
            answered = answered or not isinstance(delta, ReasoningDelta)
            yield delta
    if tried is None:
        return
    async with aclosing(_without_blank_answer(engine.generate(_again(request, tried.usage)))) as deltas:
        async for delta in deltas:
            yield replace(delta, usage=_of_both(tried.usage, delta.usage)) if isinstance(delta, Finished) else delta


async def _without_blank_answer(deltas: AsyncGenerator[EngineDelta, None]) -> AsyncGenerator[EngineDelta, None]:
    """Blank text is held back until something follows it: alone it is no answer."""
    blank: list[TextDelta] = []
    answered = False
    async with aclosing(deltas):
        async for delta in deltas:
            match delta:
                case TextDelta(text) if not answered and not text.strip():
                    blank.append(delta)
                    continue
                case Finished("stop") if not answered:
                    blank.clear()
                case ReasoningDelta():
                    pass
                case _:
                    answered = True
            if answered:
                for each in blank:
                    yield each
                blank.clear()
            yield delta


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
