"""The outputs of one request, from SGLang's tokenizer manager.

Its own waiting (`_wait_one_response`) makes a task and a timer for every token, for clients whose connection it has
to watch. Ours is watched by the endpoint. So the first output comes through SGLang, which starts the request, and
the last, which ends it; those between them are taken from where SGLang puts them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from sgcx.engines.refusals import refusal, unreadable_image
from sgcx.engines.sglang_chunks import Chunk


class RequestState(Protocol):
    """What the manager knows of a running request. The last of `out_list` holds all that those before it do."""

    out_list: list[Chunk]
    """Without their `text`, where a release puts it together only when it hands it out."""
    finished: bool
    event: asyncio.Event
    """Set while `out_list` holds something."""


class GenerateRequest(Protocol):
    input_ids: list[int] | None
    text: str | None
    sampling_params: dict[str, object]
    require_reasoning: bool

    def contains_mm_input(self) -> bool: ...

    def normalize_batch_and_arguments(self) -> None: ...


class Manager(Protocol):
    @property
    def rid_to_state(self) -> dict[str, RequestState]: ...

    def generate_request(self, obj: GenerateRequest, request: object) -> AsyncGenerator[Chunk, None]: ...


async def outputs(manager: Manager, generation: GenerateRequest, request_id: str) -> AsyncGenerator[Chunk, None]:
    """The text grows from one to the next; what comes while the reader is busy is one output.

    Raises `EngineError` where the tokenizer manager refuses the request.
    """
    started = False
    try:
        # Without the HTTP request: two watchers of one client would both abort.
        async with aclosing(manager.generate_request(generation, None)) as answer:
            async for output in answer:
                started = True
                yield output
                state = manager.rid_to_state.get(request_id)
                while state is not None and (following := await _before_the_last(state)) is not None:
                    yield following
    except RuntimeError:
        if started or not generation.contains_mm_input():
            raise
        raise unreadable_image() from None
    except ValueError as error:
        # 0.5.10.post1 keeps the state of a request that it refused, and then never finishes draining.
        manager.rid_to_state.pop(request_id, None)
        raise refusal(str(error), 400) from error


async def _before_the_last(state: RequestState) -> Chunk | None:
    """The next output; None where SGLang hands it out: the last one, or one without its text."""
    await state.event.wait()
    if state.finished or state.out_list[-1]["text"] is None:
        return None
    taken, state.out_list = state.out_list, []
    state.event.clear()
    return taken[-1]
