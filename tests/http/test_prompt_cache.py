"""What the cache header says, and the tools of a turn that comes without them."""

from __future__ import annotations

import pytest
from test_router import PlayedEngine, post, served

from sgcx.responses.deltas import Finished, TextDelta, ToolCallFinished, ToolCallStarted

ANSWER = [TextDelta("x"), Finished("stop")]
MEMBER = {"type": "function", "name": "g"}
TOOLS = [{"type": "function", "name": "f"}, {"type": "namespace", "name": "mcp", "tools": [MEMBER]}]
FIRST = [{"role": "developer", "content": "rules"}, {"role": "user", "content": "one"}]
CALLED = [
    *FIRST,
    {"type": "function_call", "call_id": "c", "name": "g", "namespace": "mcp", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "done"},
]
SUMMARIZE = [*CALLED, {"role": "user", "content": "summarize"}]


@pytest.fixture
def engine():
    return PlayedEngine(ANSWER)


@pytest.fixture
def client(engine):
    with served(engine) as client:
        yield client


def told(client, **fields):
    return post(client, **{"prompt_cache_key": "k", "tools": TOOLS, **fields}).headers.get("x-sgcx-cache")


def test_a_conversation_that_goes_on_is_a_hit(client):
    assert told(client, input=FIRST) == "miss: first_or_evicted"
    assert told(client, input=CALLED) == "hit"
    assert told(client, input=CALLED) == "hit"
    assert told(client, input=FIRST) == "hit"
    assert told(client, input=FIRST, prompt_cache_key="other") == "miss: first_or_evicted"
    assert told(client, input=FIRST, prompt_cache_key=None) is None


def test_a_miss_names_its_reason(client):
    told(client, input=CALLED, instructions="be brief")
    assert told(client, input=CALLED, instructions="be brief", tools=TOOLS[:1]) == "miss: tools_changed"
    assert told(client, input=CALLED, tools=TOOLS[:1]) == "miss: instructions_changed"
    changed = [*FIRST[:1], {"role": "user", "content": "two"}, *CALLED[2:]]
    assert told(client, input=changed, tools=TOOLS[:1]) == "miss: input_changed at item 1"


def test_two_conversations_under_one_key_do_not_disturb_each_other(client):
    other = [*FIRST[:1], {"role": "user", "content": "child"}]
    told(client, input=FIRST)
    assert told(client, input=other) == "miss: input_changed at item 1"
    assert told(client, input=CALLED) == "hit"
    assert told(client, input=[*other, *CALLED[2:]]) == "hit"


def test_a_turn_without_tools_keeps_those_of_its_conversation_and_can_call_none(client, engine):
    told(client, input=CALLED)
    response = post(client, input=SUMMARIZE, tools=[], prompt_cache_key="k", parallel_tool_calls=False)
    assert response.headers["x-sgcx-cache"] == "hit; tools kept"
    before, after = engine.requests
    assert after.tools == before.tools
    assert after.messages[: len(before.messages)] == before.messages
    assert after.constraint.withheld
    assert after.constraint.tools == ()
    assert (response.json()["tools"], response.json()["tool_choice"]) == ([], "auto")
    assert told(client, input=[*SUMMARIZE, {"role": "user", "content": "go on"}]) == "hit"


def test_a_call_in_such_a_turn_is_left_out(client, engine):
    told(client, input=CALLED)
    engine.steps = [ToolCallStarted("f"), ToolCallFinished(), *ANSWER]
    output = post(client, input=SUMMARIZE, tools=[], prompt_cache_key="k").json()["output"]
    assert [item["type"] for item in output] == ["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt_cache_key": "other"},
        {"prompt_cache_key": None},
        {"instructions": "be brief"},
        {"input": [{"role": "user", "content": "a title for this, please"}]},
    ],
)
def test_what_belongs_to_no_such_conversation_gets_no_tools(client, engine, fields):
    told(client, input=CALLED)
    post(client, **{"input": SUMMARIZE, "tools": [], "prompt_cache_key": "k", **fields})
    assert engine.requests[1].tools == ()
