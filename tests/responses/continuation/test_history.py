"""What a request continues, and what is kept of it."""

from __future__ import annotations

import itertools

import pytest
from sdk_judge import judge_listed

from sgcx.errors import InvalidRequest
from sgcx.responses.continuation.history import earlier_items, own_items, referenced_ids, require_calls, with_references
from sgcx.responses.continuation.storage import StoredResponse
from sgcx.responses.deltas import (
    Failed,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallFinished,
    ToolCallStarted,
)
from sgcx.responses.output.replay import condense, replay
from sgcx.responses.parsing import body_node
from sgcx.responses.stream import ResponseStream
from sgcx.responses.tools.table import ToolTable


def new_ids():
    counter = itertools.count(1)
    return lambda prefix: f"{prefix}_{next(counter)}"


def user(text, item_id):
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, "id": item_id, "status": "completed"}


def test_history_is_the_previous_input_and_then_its_output():
    previous = StoredResponse({"output": [{"id": "o"}], "instructions": "be brief"}, ({"id": "i"},))
    assert earlier_items(previous) == ({"id": "i"}, {"id": "o"})
    assert earlier_items(None, ({"id": "c"},)) == ({"id": "c"},)
    assert earlier_items(None) == ()


def test_a_string_is_kept_as_the_users_message():
    assert own_items("hi", new_ids()) == (user("hi", "msg_1"),)


def test_items_get_ids_of_their_kind_and_keep_those_they_have():
    sent = [
        {"role": "user", "content": "a", "id": "mine"},
        {"role": "assistant", "content": "b", "phase": "commentary"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x", "id": None},
        {"type": "custom_tool_call", "call_id": "d", "name": "g", "input": "", "id": ""},
        {"type": "custom_tool_call_output", "call_id": "d", "output": ""},
        {"type": "reasoning", "summary": []},
        {"type": "web_search_call"},
        {"type": "item_reference", "id": "msg_unknown"},
    ]
    kept = own_items(sent, new_ids())
    assert [item["id"] for item in kept] == ["mine", "msg_1", "fc_2", "fco_3", "ctc_4", "ctco_5", "rs_6", "item_7"]
    assert kept[0] == user("a", "mine")
    assert kept[1]["phase"] == "commentary"
    assert kept[1]["content"] == [{"type": "output_text", "text": "b", "annotations": [], "logprobs": []}]
    assert kept[2]["status"] == kept[3]["status"] == "completed"
    assert sent[3]["id"] is None, "the request itself stays as it was"


@pytest.mark.parametrize(
    "sent",
    [
        {"role": "assistant", "content": "a"},
        {"type": "reasoning", "summary": []},
        {"type": "compaction", "encrypted_content": "x"},
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
        {"type": "custom_tool_call", "call_id": "c", "name": "g", "input": ""},
        {"type": "custom_tool_call_output", "call_id": "c", "output": ""},
        {"type": "tool_search_call", "call_id": "c", "arguments": {}},
        {"type": "tool_search_output", "call_id": "c", "tools": []},
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c", "output": []},
        {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"], "env": {}}},
        {"type": "local_shell_call_output", "id": "lsh_1", "output": ""},
        {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "a"}},
        {"type": "apply_patch_call_output", "call_id": "c", "status": "failed"},
    ],
    ids=lambda sent: sent.get("type", "message"),
)
def test_what_is_listed_is_as_the_sdk_types_it(sent):
    [listed] = own_items([sent], new_ids())
    judge_listed(listed)


def test_references_are_replaced_in_place():
    reference, unknown = {"type": "item_reference", "id": "a"}, {"type": "item_reference", "id": "b"}
    body = {"input": [reference, user("x", "c"), unknown]}
    assert referenced_ids(body_node(body)) == ("a", "b")
    assert with_references(body, {"a": user("y", "a")})["input"] == [user("y", "a"), user("x", "c"), unknown]
    for without in ({"input": "text"}, {}, {"input": 3}, {"input": [1, None]}):
        assert referenced_ids(body_node(without)) == ()
        assert with_references(without, {"a": user("y", "a")}) == without


def streamed(deltas, heartbeats=()):
    """All events of a response; a heartbeat after each of the given deltas."""
    clock = itertools.count(100)
    stream = ResponseStream("resp_1", "m", ToolTable(), {"store": True}, new_ids(), lambda: next(clock), limited=True)
    sent, recorded = [], []

    def pass_on(batch):
        sent.extend(batch)
        recorded.extend(kept for event in batch if (kept := condense(event)) is not None)

    pass_on(stream.start())
    for index, delta in enumerate(deltas):
        pass_on(stream.feed(delta))
        if index in heartbeats and stream.state == "streaming":
            sent.append(stream.heartbeat())
    return sent, recorded


ENDINGS = [
    [ReasoningDelta("hm"), TextDelta("a"), TextDelta("b"), Finished("stop")],
    [ToolCallStarted("f"), ToolCallArguments("{}"), ToolCallFinished(), Finished("stop")],
    [TextDelta("a"), Finished("length")],
    [TextDelta("a"), ToolCallStarted("f"), Failed("server_error", "broken")],
    [Finished("stop")],
]


def test_a_replay_is_the_stream_event_by_event():
    for deltas in ENDINGS:
        for heartbeats in ((), (0,), range(len(deltas) - 1)):
            sent, recorded = streamed(deltas, heartbeats)
            replayed = list(replay(sent[-1]["response"], recorded))
            assert replayed == sent
            for number in range(-1, len(sent) + 1):
                after = list(replay(sent[-1]["response"], recorded, starting_after=number))
                assert after == sent[number + 1 :]


def test_only_events_that_add_something_are_kept():
    sent, recorded = streamed(ENDINGS[0], heartbeats=(1,))
    assert recorded[-1] == {"sequence_number": len(sent) - 1}
    assert all("response" not in event for event in recorded)


EARLIER = (user("hi", "i"), {"type": "function_call", "id": "f", "call_id": "c1", "name": "f", "arguments": "{}"})


def continued(*items):
    return body_node({"input": list(items)})


def test_a_tool_output_answers_a_call_of_the_history_or_of_the_request():
    require_calls(EARLIER, continued({"type": "function_call_output", "call_id": "c1", "output": ""}))
    call = {"type": "custom_tool_call", "call_id": "c2", "name": "p", "input": ""}
    require_calls(EARLIER, continued(call, {"type": "custom_tool_call_output", "call_id": "c2", "output": ""}))


@pytest.mark.parametrize("call_id", ["other", "i"])
def test_a_tool_output_without_its_call_is_refused(call_id):
    body = continued(user("x", "u"), {"type": "function_call_output", "call_id": call_id, "output": ""})
    with pytest.raises(InvalidRequest, match="No tool call found") as error:
        require_calls(EARLIER, body)
    assert error.value.param == "input[1].call_id"


@pytest.mark.parametrize("earlier", [(), ({"type": "compaction", "encrypted_content": "x"},)])
def test_a_history_that_may_have_been_cut_is_believed(earlier):
    require_calls(earlier, continued({"type": "function_call_output", "call_id": "c1", "output": ""}))
