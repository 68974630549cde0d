"""What the client asked of the output: how reasoning is shown, the phase of messages, logprobs, limits on calls."""

from __future__ import annotations

import itertools

import pytest
from sdk_judge import judge

from sgcx.errors import InvalidRequest
from sgcx.responses.deltas import (
    Finished,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallArguments,
    ToolCallFinished,
    ToolCallStarted,
)
from sgcx.responses.items import Reasoning
from sgcx.responses.request import parse_request
from sgcx.responses.stream import ResponseStream
from sgcx.store.sealing import AesGcmSeal

SEAL = AesGcmSeal(bytes(32), model="m")
CALL = [ToolCallStarted("shell"), ToolCallArguments("{}"), ToolCallFinished()]


def answer(deltas, **asked):
    """The events that answer a request with these fields."""
    numbers = itertools.count(1)
    stream = ResponseStream.of(
        parse_request({"input": "hi", **asked}),
        response_id="resp_1",
        model="m",
        seal=SEAL,
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        now=lambda: 1_700_000_000,
    )
    events = [event for batch in (stream.start(), *map(stream.feed, [*deltas, Finished("stop")])) for event in batch]
    judge(events)
    return events


def output(events):
    return events[-1]["response"]["output"]


THOUGHT = [ReasoningDelta("The file "), ReasoningDelta("is empty."), TextDelta("Empty.")]


def test_reasoning_is_raw_text_in_clear_unless_asked_otherwise():
    reasoning = output(answer(THOUGHT))[0]
    assert reasoning["content"] == [{"type": "reasoning_text", "text": "The file is empty."}]
    assert reasoning["summary"] == []
    assert "encrypted_content" not in reasoning


def test_raw_reasoning_comes_whole_to_a_client_that_does_not_speak_of_it():
    events = answer(THOUGHT)
    assert not [event for event in events if event["type"].startswith("response.reasoning")]
    [done] = [event for event in events if event["type"] == "response.content_part.done"][:1]
    assert done["part"]["text"] == "The file is empty."


@pytest.mark.parametrize("asked", [{"reasoning": {}}, {"include": ["reasoning.encrypted_content"]}])
def test_raw_reasoning_is_streamed_to_a_client_that_speaks_of_it(asked):
    deltas = [event["delta"] for event in answer(THOUGHT, **asked) if event["type"] == "response.reasoning_text.delta"]
    assert deltas == ["The file ", "is empty."]


def test_sealed_reasoning_opens_to_the_text_and_is_the_same_in_every_event():
    events = answer(THOUGHT, include=["reasoning.encrypted_content"])
    [done] = [event["item"] for event in events if event["type"] == "response.output_item.done"][:1]
    assert done == output(events)[0]
    assert SEAL.open(done["encrypted_content"], "reasoning") == b"The file is empty."
    assert done["content"][0]["text"] == "The file is empty."


@pytest.mark.parametrize("asked", [{"summary": "auto"}, {"summary": "detailed"}, {"generate_summary": "concise"}])
def test_a_summary_is_the_reasoning_itself_and_takes_the_place_of_its_content(asked):
    events = answer(THOUGHT, reasoning=asked)
    assert [event["type"] for event in events[2:8]] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
    ]
    reasoning = output(events)[0]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "The file is empty."}]
    assert reasoning["content"] == []


@pytest.mark.parametrize("asked", [None, {}, {"summary": None}, {"summary": "none"}])
def test_no_summary_where_none_is_asked_for(asked):
    assert output(answer(THOUGHT, reasoning=asked))[0]["summary"] == []


def test_a_message_before_a_call_is_commentary_and_the_last_one_the_final_answer():
    deltas = [TextDelta("I look."), *CALL, ReasoningDelta("hm"), TextDelta("So:"), ReasoningDelta("ok"), TextDelta("5")]
    messages = [item for item in output(answer(deltas)) if item["type"] == "message"]
    assert [(item["content"][0]["text"], item["phase"]) for item in messages] == [
        ("I look.", "commentary"),
        ("So:", "commentary"),
        ("5", "final_answer"),
    ]


def test_text_does_not_wait_for_its_phase():
    events = answer([TextDelta("I look."), *CALL])
    kinds = [event["type"] for event in events]
    assert "phase" not in events[kinds.index("response.output_item.added")]["item"]
    assert kinds.index("response.output_text.delta") < kinds.index("response.output_item.done")


@pytest.mark.parametrize("asked", [{"max_tool_calls": 2}, {"max_tool_calls": 2, "parallel_tool_calls": True}])
def test_calls_beyond_the_clients_limit_are_left_out_and_the_response_is_complete(asked):
    terminal = answer([*CALL, *CALL, *CALL, TextDelta("x")], **asked)[-1]["response"]
    assert terminal["status"] == "completed"
    assert [item["type"] for item in terminal["output"]] == ["function_call", "function_call"]
    assert terminal["max_tool_calls"] == 2


def test_one_call_where_there_shall_be_no_parallel_ones_whatever_the_limit():
    assert len(output(answer([*CALL, *CALL], parallel_tool_calls=False, max_tool_calls=3))) == 1


def test_logprobs_stand_with_the_delta_the_text_and_the_part():
    first = TokenLogprob("Hé", -0.25, (("Hé", -0.25), ("No", -3.0)))
    second = TokenLogprob("llo", -0.5, (("llo", -0.5),))
    events = answer([TextDelta("Hé", (first,)), TextDelta("llo", (second,))], top_logprobs=2)
    by_type = {event["type"]: event for event in events}
    shown = {
        "token": "Hé",
        "logprob": -0.25,
        "top_logprobs": [{"token": "Hé", "logprob": -0.25}, {"token": "No", "logprob": -3.0}],
    }
    assert next(event["logprobs"] for event in events if event["type"] == "response.output_text.delta") == [shown]
    assert by_type["response.output_text.done"]["logprobs"][0] == shown
    part = output(events)[0]["content"][0]
    assert part["logprobs"][0]["bytes"] == [72, 195, 169]
    assert part["logprobs"][0]["top_logprobs"][1] == {"token": "No", "bytes": [78, 111], "logprob": -3.0}
    assert [entry["token"] for entry in part["logprobs"]] == ["Hé", "llo"]


@pytest.mark.parametrize(
    ("asked", "top"),
    [
        ({}, None),
        ({"top_logprobs": 0}, None),
        ({"top_logprobs": 20}, 20),
        ({"include": ["message.output_text.logprobs"]}, 0),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": 3}, 3),
    ],
)
def test_logprobs_are_asked_for_by_either_field(asked, top):
    assert parse_request({"input": "hi", **asked}).top_logprobs == top


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": -1}, "top_logprobs"),
        ({"max_tool_calls": 0}, "max_tool_calls"),
        ({"include": "reasoning.encrypted_content"}, "include"),
        ({"include": [1]}, "include[0]"),
        ({"reasoning": {"summary": 1}}, "reasoning.summary"),
    ],
)
def test_what_is_malformed_is_refused_at_its_place(asked, place):
    with pytest.raises(InvalidRequest) as refused:
        parse_request({"input": "hi", **asked})
    assert refused.value.param == place


def test_what_cannot_be_included_is_reported():
    request = parse_request({"input": "hi", "include": ["reasoning.encrypted_content", "file_search_call.results"]})
    assert request.ignored == ("include[1]=file_search_call.results",)


CONTENT = {"content": [{"type": "reasoning_text", "text": "in clear"}]}
SUMMARY = {"summary": [{"type": "summary_text", "text": "in"}, {"type": "summary_text", "text": "short"}]}
SEALED = {"encrypted_content": SEAL.seal(b"sealed", "reasoning")}
OF_A_COMPACTION = {"encrypted_content": SEAL.seal(b"sealed", "compaction")}
FOREIGN = {"encrypted_content": "gAAAAABo-another-provider"}


@pytest.mark.parametrize(
    ("kept", "text", "ignored"),
    [
        ({**CONTENT, **SEALED, **SUMMARY}, "in clear", ()),
        ({**SEALED, **SUMMARY}, "sealed", ()),
        ({"content": [], **SEALED}, "sealed", ()),
        ({**FOREIGN, **SUMMARY}, "in\n\nshort", ("input[0].encrypted_content=unreadable",)),
        ({**FOREIGN, **CONTENT}, "in clear", ()),
        (FOREIGN, None, ("input[0].encrypted_content=unreadable",)),
        (OF_A_COMPACTION, None, ("input[0].encrypted_content=unreadable",)),
        ({"encrypted_content": ""}, None, ()),
        ({"encrypted_content": None, **SUMMARY}, "in\n\nshort", ()),
    ],
)
def test_reasoning_comes_back_from_the_best_that_the_client_kept(kept, text, ignored):
    item = {"type": "reasoning", "id": "rs_1", **kept}
    request = parse_request({"input": [item, {"role": "user", "content": "hi"}]}, seal=SEAL)
    assert request.input[:-1] == (() if text is None else (Reasoning(text),))
    assert request.ignored == ignored


@pytest.mark.parametrize("summary", [None, "auto"])
def test_what_was_sent_comes_back_to_the_last_character(summary):
    thought = "First,\n\nlook.  \n"
    asked = {"reasoning": {"summary": summary}, "include": ["reasoning.encrypted_content"]}
    item = output(answer([ReasoningDelta(thought), TextDelta("ok")], **asked))[0]
    for kept in (item, {**item, "encrypted_content": None}, {**item, "content": None, "summary": []}):
        assert parse_request({"input": [kept]}, seal=SEAL).input == (Reasoning(thought),)
