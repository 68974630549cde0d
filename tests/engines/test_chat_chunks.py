"""Chat chunks → deltas, without a network."""

from __future__ import annotations

import pytest
from chat_upstream import call, chunk, usage
from hypothesis import given
from hypothesis import strategies as st

from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.engines.chat_chunks import ChatReader, joined
from sgcx.errors import EngineError
from sgcx.responses.deltas import (
    Failed,
    Finished,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallArguments,
    ToolCallFinished,
    ToolCallStarted,
    Usage,
)
from sgcx.responses.generation.logprob_alignment import LogprobAlignment
from sgcx.responses.stream import ResponseStream
from sgcx.responses.tools.table import ToolTable


def read(*chunks, reader=None):
    reader = reader or ChatReader()
    deltas = [delta for each in chunks for delta in reader.feed(each)]
    return [*deltas, reader.end()]


def calls_in(deltas):
    calls = []
    for delta in deltas:
        match delta:
            case ToolCallStarted(name):
                calls.append([name, "", False])
            case ToolCallArguments(text):
                assert not calls[-1][2]
                calls[-1][1] += text
            case ToolCallFinished():
                calls[-1][2] = True
    return [tuple(each) for each in calls]


def test_reasoning_and_text_pass_as_they_come():
    deltas = read(
        chunk(role="assistant", content=""),
        chunk(reasoning_content="hm"),
        chunk(reasoning="m"),
        chunk(content="Hi", reasoning_content=None),
        chunk("stop", content="!"),
        usage(10, 5, cached=8, reasoning=2),
    )
    assert deltas == [
        ReasoningDelta("hm"),
        ReasoningDelta("m"),
        TextDelta("Hi"),
        TextDelta("!"),
        Finished("stop", Usage(10, 8, 5, 2)),
    ]


def test_the_first_call_passes_as_it_comes_and_is_closed_at_the_end():
    reader = ChatReader()
    assert reader.feed(chunk(tool_calls=[call(0, "read", "")])) == [ToolCallStarted("read")]
    assert reader.feed(chunk(tool_calls=[call(0, arguments='{"p":')])) == [ToolCallArguments('{"p":')]
    assert reader.feed(chunk(tool_calls=[call(0, arguments="1}")])) == [ToolCallArguments("1}")]
    assert reader.feed(chunk("tool_calls")) == [ToolCallFinished()]
    assert reader.end() == Finished("stop")


def test_interleaved_calls_come_out_one_after_another():
    deltas = read(
        chunk(tool_calls=[call(0, "a", "{"), call(1, "b", "[")]),
        chunk(tool_calls=[call(1, arguments="2")]),
        chunk(tool_calls=[call(0, arguments="1")]),
        chunk(tool_calls=[call(1, arguments="]"), call(0, arguments="}")]),
        chunk("tool_calls"),
    )
    assert calls_in(deltas) == [("a", "{1}", True), ("b", "[2]", True)]


@pytest.mark.parametrize("index", [0, None])
def test_calls_that_share_an_index_are_told_apart_by_name_and_id(index):
    parts = [call(index, "a", "{}", "id1"), call(index, "b", "{}", "id2")]
    assert calls_in(read(chunk("tool_calls", tool_calls=parts))) == [("a", "{}", True), ("b", "{}", True)]


def test_a_name_that_is_repeated_or_late_is_one_name():
    repeated = read(chunk(tool_calls=[call(0, "a", "1", "id")]), chunk("stop", tool_calls=[call(0, "a", "2", "id")]))
    late = read(chunk(tool_calls=[call(0, None, "1")]), chunk("stop", tool_calls=[call(0, "a", "2")]))
    assert calls_in(repeated) == calls_in(late) == [("a", "12", True)]


def test_a_call_that_the_limit_cut_is_never_closed_and_later_ones_are_not_told():
    deltas = read(
        chunk(tool_calls=[call(0, "a", "{}")]), chunk(tool_calls=[call(1, "b", "{")]), chunk("length"), usage(1, 2)
    )
    assert deltas == [ToolCallStarted("a"), ToolCallArguments("{}"), Finished("length", Usage(1, 0, 2, 0))]


def test_text_after_a_call_waits_until_the_call_is_closed():
    deltas = read(
        chunk(tool_calls=[call(0, "a", "{")]),
        chunk(content="\n"),
        chunk(tool_calls=[call(0, arguments="}")]),
        chunk(tool_calls=[call(1, "b", "{}")]),
        chunk(content="done"),
        chunk(content="."),
        chunk("stop"),
    )
    assert calls_in(deltas) == [("a", "{}", True), ("b", "{}", True)]
    assert deltas[-2:] == [TextDelta("done."), Finished("stop")]


@pytest.mark.parametrize("reason", ["abort", "error", "content_filter", "whatever"])
def test_any_other_end_is_a_failure(reason):
    end = read(chunk(tool_calls=[call(0, "a", "{}")]), chunk(reason))[-1]
    assert isinstance(end, Failed)
    assert end.code == "server_error"


def test_a_stream_without_a_reason_was_cut():
    assert isinstance(read(chunk(content="Hel"))[-1], Failed)


def test_a_call_without_a_name_is_refused():
    with pytest.raises(EngineError, match="without saying which"):
        read(chunk(tool_calls=[call(0, None, "{}")]), chunk("tool_calls"))


def test_raw_text_is_read_by_the_dialect():
    text = (
        "hm</think>Hi<|tool_calls_section_begin|><|tool_call_begin|>functions.a:0<|tool_call_argument_begin|>{}"
        "<|tool_call_end|><|tool_calls_section_end|>"
    )
    reader = ChatReader(KimiK2().reader(prompt_tail="<think>"))
    deltas = read(*(chunk(content=letter) for letter in text), chunk("stop"), reader=reader)
    assert calls_in(deltas) == [("a", "{}", True)]
    assert "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta)) == "hm"


def test_raw_text_that_ends_its_turn_with_the_last_token_it_may_have_was_not_cut():
    reader = ChatReader(KimiK2().reader(prompt_tail=""))
    deltas = read(chunk(content="Hi"), chunk(content="<|im_end|>"), chunk("length"), reader=reader)
    assert deltas == [TextDelta("Hi"), Finished("stop")]
    reader = ChatReader(KimiK2().reader(prompt_tail=""))
    assert read(chunk(content="Hi"), chunk("length"), reader=reader) == [TextDelta("Hi"), Finished("length")]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
parts = st.fixed_dictionaries(
    {},
    optional={
        "index": st.integers(0, 2) | json_values,
        "id": st.sampled_from(["x", "y", None]),
        "function": st.fixed_dictionaries({}, optional={"name": st.sampled_from(["a", ""]), "arguments": json_values}),
    },
)
deltas = st.fixed_dictionaries(
    {},
    optional={
        "content": st.text(max_size=3) | json_values,
        "reasoning_content": json_values,
        "tool_calls": st.lists(parts | json_values, max_size=3) | json_values,
    },
)
reasons = st.sampled_from([None, None, None, "stop", "tool_calls", "length", "abort"]) | json_values
logprobs = st.fixed_dictionaries({}, optional={"content": json_values | st.lists(json_values, max_size=2)})
choices = st.fixed_dictionaries(
    {}, optional={"delta": deltas | json_values, "finish_reason": reasons, "logprobs": logprobs | json_values}
)
chunks = st.fixed_dictionaries({}, optional={"choices": st.lists(choices | json_values, max_size=2) | json_values})


@given(st.lists(chunks, max_size=12), st.booleans())
def test_whatever_an_engine_streams_gives_a_legal_response(streamed, limited):
    numbers = iter(range(1000))
    stream = ResponseStream(
        "resp", "m", ToolTable(), {}, new_id=lambda prefix: f"{prefix}{next(numbers)}", now=lambda: 0, limited=limited
    )
    stream.start()
    try:
        for delta in read(*streamed, reader=ChatReader(alignment=LogprobAlignment())):
            stream.feed(delta)
    except EngineError:
        return
    assert stream.state == "closed"


def scored(token, *others):
    top = [{"token": text, "logprob": -1.0, "bytes": None} for text in (token, *others)]
    return {"token": token, "logprob": -0.5, "bytes": None, "top_logprobs": top}


def test_logprobs_stand_with_their_text_also_where_pieces_are_joined():
    chunks = [chunk(reasoning_content="hm"), chunk(content="Hel"), chunk(content="lo"), chunk("stop")]
    for each, token in zip(chunks, ("hm", "Hel", "lo"), strict=False):
        each["choices"][0]["logprobs"] = {"content": [scored(token, "x")]}
    deltas = joined(read(*chunks, reader=ChatReader(alignment=LogprobAlignment())))
    hel, lo = (TokenLogprob(token, -0.5, ((token, -1.0), ("x", -1.0))) for token in ("Hel", "lo"))
    assert deltas == [ReasoningDelta("hm"), TextDelta("Hello", (hel, lo)), Finished("stop")]


def test_what_arrived_together_is_sent_on_together():
    apart = [ReasoningDelta("a"), ReasoningDelta("b"), TextDelta("c"), ToolCallStarted("f"), ToolCallStarted("f")]
    apart += [ToolCallArguments("{"), ToolCallArguments("}"), ToolCallFinished()]
    together = [ReasoningDelta("ab"), TextDelta("c"), ToolCallStarted("f"), ToolCallStarted("f")]
    together += [ToolCallArguments("{}"), ToolCallFinished()]
    assert joined(apart) == joined(together) == together
