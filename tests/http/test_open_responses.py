"""What the Open Responses compliance suite asks of a server, as far as it is not tested elsewhere.

The suite itself runs against a live server: see docs/testing.md.
"""

from __future__ import annotations

import pytest
from test_router import PlayedEngine, frames, post, served
from test_websocket import client_of

from sgcx.responses.deltas import (
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallFinished,
    ToolCallStarted,
)

ANSWER = [ReasoningDelta("hm"), TextDelta("Hello"), Finished("stop")]
REQUIRED = {
    "id": str,
    "object": str,
    "created_at": int,
    "completed_at": int,
    "status": str,
    "incomplete_details": type(None),
    "model": str,
    "previous_response_id": type(None),
    "instructions": type(None),
    "output": list,
    "error": type(None),
    "tools": list,
    "tool_choice": str,
    "truncation": str,
    "parallel_tool_calls": bool,
    "text": dict,
    "top_p": float,
    "presence_penalty": float,
    "frequency_penalty": float,
    "top_logprobs": int,
    "temperature": float,
    "reasoning": dict,
    "usage": dict,
    "max_output_tokens": type(None),
    "max_tool_calls": type(None),
    "store": bool,
    "background": bool,
    "service_tier": str,
    "metadata": dict,
    "safety_identifier": type(None),
    "prompt_cache_key": type(None),
}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # fmt: skip # noqa: E501
IMAGE = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PIXEL}]


def test_a_response_has_every_field_that_the_schema_requires():
    with served(PlayedEngine(ANSWER)) as http:
        response = post(http).json()
    assert {name: type(response.get(name, ...)) for name in REQUIRED} == REQUIRED
    assert response["text"]["format"] == {"type": "text"}
    for item in response["output"]:
        assert None not in item.values()


@pytest.mark.parametrize("transport", ["http", "websocket"])
def test_a_client_that_says_nothing_of_reasoning_sees_only_events_of_the_specification(transport):
    with served(PlayedEngine(ANSWER)) as http:
        if transport == "http":
            events = frames(post(http, stream=True).text)
        else:
            with client_of(http) as client:
                client.send(input="hi")
                events = client.turn()
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_an_image_is_answered_by_a_model_that_reads_text_only():
    engine = PlayedEngine(ANSWER)
    with served(engine) as http:
        assert post(http, input=[{"role": "user", "content": IMAGE}]).json()["status"] == "completed"
    assert "image" in str(engine.requests[0].messages[-1]["content"])


def test_the_phases_of_past_messages_are_accepted():
    past = [{"role": "assistant", "phase": phase, "content": "x"} for phase in ("commentary", "final_answer")]
    with served(PlayedEngine(ANSWER)) as http:
        assert post(http, input=[*past, {"role": "user", "content": "?"}]).json()["status"] == "completed"


def test_a_declared_function_is_called():
    call = [ToolCallStarted("f"), ToolCallArguments('{"a": 1}'), ToolCallFinished(), Finished("stop")]
    with served(PlayedEngine(call)) as http:
        [item] = post(http, tools=[{"type": "function", "name": "f"}]).json()["output"]
    assert (item["type"], item["name"], item["arguments"]) == ("function_call", "f", '{"a": 1}')


def test_compaction_needs_a_model():
    with served(PlayedEngine(ANSWER)) as http:
        refused = http.post("/v1/responses/compact", json={"input": "hi"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")
