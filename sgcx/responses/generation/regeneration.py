"""A second try where the model ends its turn without an answer: with thoughts only, with nothing, or with blanks.

Clients take such a response for a finished turn and stop working. The prompt is in the cache by then, so trying
again costs only what is generated.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from sgcx.responses.deltas import EngineDelta, Finished, ReasoningDelta, TextDelta, Usage
from sgcx.responses.engine import Engine, EngineRequest


async def generate_answer(engine: Engine, request: EngineRequest) -> AsyncGenerator[EngineDelta, None]:
    """The deltas of `engine.generate(request)`, and of one more try where they hold no answer.

    Both tries have the same prompt, the conversation as the client knows it. In what the client sees, the thoughts
    of the second follow those of the first.
    """
    tried: Finished | None = None
    opening = _Opening()
    async with aclosing(engine.generate(request)) as deltas:
        async for delta in deltas:
            if opening.answered:
                yield delta
                continue
            if isinstance(delta, Finished) and delta.reason == "stop":
                tried = delta
                break
            for known in opening.feed(delta):
                yield known
    if tried is None:
        return
    opening = _Opening()
    async with aclosing(engine.generate(_again(request, tried.usage))) as deltas:
        async for delta in deltas:
            for known in [delta] if opening.answered else opening.feed(delta):
                yield replace(known, usage=_of_both(tried.usage, known.usage)) if isinstance(known, Finished) else known


@dataclass(slots=True)
class _Opening:
    """The deltas up to an answer. Blank text is held back until something follows it: alone it is no answer."""

    answered: bool = field(default=False, init=False)
    """What follows need not come here."""
    _blank: list[TextDelta] = field(default_factory=list, init=False)

    def feed(self, delta: EngineDelta) -> list[EngineDelta]:
        match delta:
            case TextDelta(text) if not text.strip():
                self._blank.append(delta)
                return []
            case ReasoningDelta() | Finished("stop"):
                return [delta]
            case _:
                self.answered = True
                return [*self._blank, delta]


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
