"""Requests that only fill the prompt cache: the engine reads the prompt, and nothing is put out."""

from __future__ import annotations

import asyncio

import pytest
from test_router import PlayedEngine, frames, post, served

from sgcx.errors import EngineError
from sgcx.responses.deltas import Finished, ReasoningDelta, TextDelta, ToolCallStarted, Usage
from sgcx.store.async_store import AsyncStore

ONE_TOKEN = [ReasoningDelta("Hm"), Finished("length", Usage(40, 0, 1, 1))]
PREWARM = {"prompt_cache_options": {"prewarm": True}}


def test_the_whole_prompt_goes_through_the_engine_and_nothing_comes_out():
    engine = PlayedEngine(ONE_TOKEN)
    with served(engine) as client:
        response = post(client, **PREWARM, max_output_tokens=500).json()
    assert response["status"] == "completed"
    assert response["output"] == []
    assert (response["usage"]["input_tokens"], response["usage"]["output_tokens"]) == (40, 0)
    [request] = engine.requests
    assert request.max_new_tokens == 1
    assert request.messages[-1]["role"] == "user"


@pytest.mark.parametrize("fields", [PREWARM, {"generate": False}, {"generate": True, **PREWARM}])
@pytest.mark.parametrize("made", [[], [TextDelta("x")], [ToolCallStarted("f")]])
def test_whatever_the_engine_makes_of_it_is_left_out(fields, made):
    with served(PlayedEngine([*made, Finished("stop")])) as client:
        events = frames(post(client, stream=True, **fields).text)
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", "response.completed"]


def test_no_grammar_is_compiled_for_it():
    engine = PlayedEngine(ONE_TOKEN)
    with served(engine) as client:
        post(client, **PREWARM, text={"format": {"type": "json_object"}})
    assert not engine.requests[0].constraint.binds


def test_a_later_turn_continues_it(tmp_path):
    engine = PlayedEngine(ONE_TOKEN)
    storage = AsyncStore(tmp_path / "responses.sqlite3")
    with served(engine, storage=storage) as client:
        prewarmed = post(client, input=[{"role": "developer", "content": "be brief"}], **PREWARM).json()
        engine.steps = [TextDelta("ok"), Finished("stop")]
        assert post(client, previous_response_id=prewarmed["id"]).json()["status"] == "completed"
    asyncio.run(storage.close())
    first, second = engine.requests
    assert second.messages[: len(first.messages)] == first.messages
    assert second.max_new_tokens is None


def test_a_refusal_is_an_error_as_ever():
    with served(PlayedEngine([EngineError("too long", code="context_length_exceeded", status=400)])) as client:
        assert post(client, **PREWARM).json()["error"]["code"] == "context_length_exceeded"
