"""A model that ends its turn without an answer is asked once more, within the same response."""

from __future__ import annotations

import asyncio

import pytest

from sgcx.responses.constraint import Constraint
from sgcx.responses.deltas import Finished, ReasoningDelta, TextDelta, ToolCallFinished, ToolCallStarted, Usage
from sgcx.responses.engine import EngineRequest
from sgcx.responses.generation.regeneration import generate_answer

THOUGHT = ReasoningDelta("hm")
FIRST, SECOND = Usage(100, 20, 5, 5), Usage(100, 96, 7, 3)


class Tries:
    """Each generation plays the next list of deltas."""

    def __init__(self, *tries):
        self.tries = list(tries)
        self.requests = []
        self.open = 0

    async def generate(self, request):
        self.requests.append(request)
        self.open += 1
        try:
            for delta in self.tries.pop(0):
                yield delta
        finally:
            self.open -= 1


def request(max_new_tokens=None):
    return EngineRequest(
        request_id="resp_1",
        messages=({"role": "user", "content": "hi"},),
        tools=(),
        template_arguments={},
        temperature=1.0,
        top_p=1.0,
        max_new_tokens=max_new_tokens,
        constraint=Constraint(),
        thinking=True,
    )


def play(engine, asked=None):
    async def drain():
        return [delta async for delta in generate_answer(engine, asked or request())]

    deltas = asyncio.run(drain())
    assert engine.open == 0
    return deltas


@pytest.mark.parametrize("thoughts", [[], [THOUGHT], [THOUGHT, THOUGHT]])
def test_thoughts_without_an_answer_are_tried_again_on_the_same_prompt(thoughts):
    engine = Tries([*thoughts, Finished("stop", FIRST)], [THOUGHT, TextDelta("5"), Finished("stop", SECOND)])
    assert play(engine) == [*thoughts, THOUGHT, TextDelta("5"), Finished("stop", Usage(100, 20, 12, 8))]
    first, second = engine.requests
    assert first.messages == second.messages
    assert first.request_id != second.request_id


def test_blanks_are_no_answer():
    engine = Tries([THOUGHT, TextDelta("\n"), TextDelta(" "), Finished("stop", FIRST)], [TextDelta(" ")])
    assert play(engine) == [THOUGHT]
    assert len(engine.requests) == 2


@pytest.mark.parametrize("after", [TextDelta("a"), ToolCallStarted("t"), Finished("length", FIRST)])
def test_blanks_in_front_of_something_are_kept(after):
    engine = Tries([THOUGHT, TextDelta("\n"), TextDelta(" "), after])
    assert play(engine) == [THOUGHT, TextDelta("\n"), TextDelta(" "), after]


def test_two_tries_are_all():
    engine = Tries([THOUGHT, Finished("stop", FIRST)], [THOUGHT, Finished("stop", SECOND)])
    assert play(engine) == [THOUGHT, THOUGHT, Finished("stop", Usage(100, 20, 12, 8))]


@pytest.mark.parametrize(
    "deltas",
    [
        [THOUGHT, TextDelta("5"), Finished("stop", FIRST)],
        [ToolCallStarted("shell"), ToolCallFinished(), Finished("stop", FIRST)],
        [THOUGHT, Finished("length", FIRST)],
    ],
)
def test_an_answer_or_a_limit_ends_it_at_once(deltas):
    engine = Tries(deltas)
    assert play(engine) == deltas


def test_the_second_try_has_the_tokens_that_are_left_of_the_clients_limit():
    engine = Tries([THOUGHT, Finished("stop", FIRST)], [TextDelta("5"), Finished("stop", SECOND)])
    play(engine, request(max_new_tokens=12))
    assert [asked.max_new_tokens for asked in engine.requests] == [12, 7]


@pytest.mark.parametrize("seen", [1, 3])
def test_leaving_closes_the_generation_that_runs(seen):
    engine = Tries([THOUGHT, THOUGHT, Finished("stop", FIRST)], [THOUGHT, TextDelta("5"), Finished("stop", SECOND)])

    async def leave():
        deltas = generate_answer(engine, request())
        for _ in range(seen):
            await anext(deltas)
        await deltas.aclose()

    asyncio.run(leave())
    assert engine.open == 0
