"""An engine that plays: what models do, and what goes wrong with them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sgcx.errors import EngineError
from sgcx.responses.deltas import (
    Failed,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallFinished,
    ToolCallStarted,
    Usage,
)

SECRET = "/srv/secret.py"
USAGE = Usage(10, 4, 5, 2)
STOP = Finished("stop", USAGE)

SOUND = {
    "text": [TextDelta("Hel"), TextDelta("lo ✓"), STOP],
    "reasoning and text": [ReasoningDelta("hm"), TextDelta("Hello"), STOP],
    "calls": [ReasoningDelta("hm")],
    "text and calls": [TextDelta("so")],
    "bad arguments": [],
    "length": [ReasoningDelta("hm"), TextDelta("Hel")],
}
"""Those that call tools go on with calls, "length" with an end."""
CALLING = ("calls", "text and calls", "bad arguments")
FAULTY = {
    "silence": [ReasoningDelta("hm"), STOP],
    "unclosed call": [ToolCallStarted("f"), ToolCallArguments('{"a'), STOP],
    "stray call": [ToolCallStarted("nobody.knows"), ToolCallArguments("{}"), ToolCallFinished(), STOP],
    "failed": [TextDelta("Hel"), Failed("server_error", "the engine gave up")],
    "refused": [EngineError("too long", code="context_length_exceeded", status=400)],
    "full": [EngineError("full", code=None, status=503, retry_after_s=1)],
    "broken": [RuntimeError(SECRET)],
    "broken late": [TextDelta("Hel"), RuntimeError(SECRET)],
    "cut": [TextDelta("Hel")],
}
"""An answer may then be a server's error."""
PLAYS = (*[*SOUND] * 3, *FAULTY)
ARGUMENTS = (
    '{"cmd": "ls"}',
    '{"input": "*** Begin Patch"}',
    '{"commands": ["ls"], "type": "create_file", "path": "a"}',
)


@dataclass
class PlayingEngine:
    play: str = "text"
    open: int = 0
    """Generations that have begun and not ended."""

    async def count_tokens(self, request):
        return sum(len(str(message.get("content"))) for message in request.messages)

    async def generate(self, request):
        self.open += 1
        try:
            for step in FAULTY.get(self.play) or _sound(self.play, request):
                if isinstance(step, Exception):
                    raise step
                await asyncio.sleep(0)
                yield step
        finally:
            self.open -= 1


def _sound(play, request):
    """What obeys the request's constraint, too."""
    limited = play == "length" and request.max_new_tokens is not None
    tools = [tool.name for tool in request.constraint.tools]
    if tools and (request.constraint.must_call or play in CALLING):
        written = '{"cmd": [}' if play == "bad arguments" else ARGUMENTS[len(tools) % len(ARGUMENTS)]
        before = SOUND.get(play, []) if play in CALLING else []
        return [*before, *(step for tool in tools[:3] for step in _call(tool, written)), STOP]
    if play == "length":
        return [*SOUND[play], Finished("length" if limited else "stop", USAGE)]
    return SOUND["text" if play in CALLING else play]


def _call(name, arguments):
    half = len(arguments) // 2
    pieces = (ToolCallArguments(arguments[:half]), ToolCallArguments(arguments[half:]))
    return ToolCallStarted(name), *pieces, ToolCallFinished()
