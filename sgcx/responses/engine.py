"""What the Responses layer asks of whoever generates tokens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from sgcx.responses.constraint import Constraint
from sgcx.responses.deltas import EngineDelta
from sgcx.responses.wire import JsonObject


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """One generation. `messages` and `tools` in the shape of chat completions, ready for the chat template."""

    request_id: str
    messages: tuple[JsonObject, ...]
    tools: tuple[JsonObject, ...]
    template_arguments: JsonObject
    temperature: float
    top_p: float
    max_new_tokens: int | None
    """None: as many as the context has room for."""
    constraint: Constraint
    thinking: bool
    top_logprobs: int | None = None
    """None: no logprobs; 0: those of the answer's own tokens."""
    late_tools: tuple[JsonObject, ...] = ()
    """Tools announced in the messages. For engines that accept calls of declared tools only."""


class Engine(Protocol):
    def generate(self, request: EngineRequest) -> AsyncGenerator[EngineDelta, None]:
        """Deltas that end with exactly one `Finished` or `Failed`.

        Raises `EngineError`, before the first delta, where the engine refuses the request as a whole.
        Closing the generator early aborts the generation.
        """
        ...

    async def count_tokens(self, request: EngineRequest) -> int:
        """The length of the prompt that `generate` would make of this request, to the token.

        Raises `EngineError` as `generate` does, also where the engine cannot tell or the prompt is too long to count.
        """
        ...
