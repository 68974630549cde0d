"""`ResponseStream`: event grammar, numbering, identity, and the verdict of OpenAI's own SDK."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

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
from sgcx.responses.request import parse_request
from sgcx.responses.stream import ResponseStream, StreamProtocolError
from sgcx.store.sealing import AesGcmSeal

REQUEST = parse_request(
    {
        "model": "m",
        "input": "hi",
        "tools": [
            {"type": "function", "name": "shell", "parameters": {"type": "object"}},
            {"type": "custom", "name": "apply_patch"},
            {
                "type": "namespace",
                "name": "mcp__demo",
                "description": "",
                "tools": [{"type": "function", "name": "add"}],
            },
        ],
    }
)
SDK_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
SEAL = AesGcmSeal(bytes(32), model="m")
USAGE = Usage(input_tokens=10, cached_tokens=4, output_tokens=5, reasoning_tokens=2)

SHORT = {
    "response.created": "C",
    "response.in_progress": "P",
    "response.output_item.added": "A",
    "response.content_part.added": "K",
    "response.output_text.delta": "D",
    "response.reasoning_text.delta": "D",
    "response.reasoning_summary_part.added": "K",
    "response.reasoning_summary_text.delta": "D",
    "response.reasoning_summary_text.done": "E",
    "response.reasoning_summary_part.done": "E",
    "response.function_call_arguments.delta": "D",
    "response.custom_tool_call_input.delta": "D",
    "response.output_text.done": "E",
    "response.reasoning_text.done": "E",
    "response.function_call_arguments.done": "E",
    "response.custom_tool_call_input.done": "E",
    "response.content_part.done": "E",
    "response.output_item.done": "I",
    "response.completed": "T",
    "response.incomplete": "U",
    "response.failed": "F",
}
NOT_WRITTEN = ("response.output_item", "response.content_part", "response.reasoning_summary_part")
GRAMMAR = re.compile(r"^CP(A(K?D+E+|E)I)*(AK?D*)?[TUF]$")  # the input of a custom tool may be empty


def make_stream(**options):
    numbers = itertools.count(1)
    return ResponseStream(
        response_id="resp_1",
        model="m",
        tools=REQUEST.tools,
        echo=REQUEST.echo,
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        now=lambda: 1_700_000_000,
        **options,
    )


def run(deltas, **options):
    stream = make_stream(**options)
    emitted = list(stream.start())
    for delta in deltas:
        emitted += stream.feed(delta)
    return emitted


pieces = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4)
block = st.one_of(
    st.tuples(st.just("reasoning"), pieces),
    st.tuples(st.just("text"), pieces),
    st.tuples(st.sampled_from(["shell", "apply_patch", "mcp__demo__add", "unknown"]), pieces),
)
ending = st.sampled_from([Finished("stop", USAGE), Finished("length", USAGE), Failed("server_error", "boom")])


how_shown = st.fixed_dictionaries({"summarize": st.booleans(), "seal": st.sampled_from([None, SEAL])})


def deltas_of(blocks, end):
    deltas = []
    for kind, texts in blocks:
        match kind:
            case "reasoning":
                deltas += [ReasoningDelta(text) for text in texts]
            case "text":
                deltas += [TextDelta(text) for text in texts]
            case tool:
                deltas += [ToolCallStarted(tool), *[ToolCallArguments(text) for text in texts], ToolCallFinished()]
    return [*deltas, end]


@settings(deadline=None)
@given(st.lists(block, max_size=5), ending, st.booleans(), how_shown)
def test_events_follow_the_grammar_and_are_numbered_without_gaps(blocks, end, limited, shown):
    emitted = run(deltas_of(blocks, end), limited=limited, **shown)
    assert GRAMMAR.match("".join(SHORT[event["type"]] for event in emitted))
    assert [event["sequence_number"] for event in emitted] == list(range(len(emitted)))
    closed = [event["item"] for event in emitted if event["type"] == "response.output_item.done"]
    assert emitted[-1]["response"]["output"] == closed
    assert [event["output_index"] for event in emitted if event["type"] == "response.output_item.done"] == list(
        range(len(closed))
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(block, max_size=5), how_shown)
def test_the_openai_sdk_accumulates_every_stream_to_what_the_terminal_event_says(blocks, shown):
    emitted = run(deltas_of(blocks, Finished("stop", USAGE)), **shown)
    state = ResponseStreamState(input_tools=omit, text_format=omit)
    for event in emitted:
        state.handle_event(SDK_EVENT.validate_python(json.loads(json.dumps(event))))
    ids = {event["item"]["id"] for event in emitted if event["type"] == "response.output_item.added"}
    assert ids == {item["id"] for item in emitted[-1]["response"]["output"]}


@settings(deadline=None)
@given(st.lists(block, max_size=5), how_shown)
def test_deltas_add_up_to_what_done_says(blocks, shown):
    written, done = {}, {}
    for event in run(deltas_of(blocks, Finished("stop", USAGE)), **shown):
        kind, _, step = event["type"].rpartition(".")
        if step == "delta":
            written[kind, event["item_id"]] = written.get((kind, event["item_id"]), "") + event["delta"]
        elif step == "done" and kind not in NOT_WRITTEN:
            [said] = [event[name] for name in ("text", "arguments", "input") if name in event]
            done[kind, event["item_id"]] = said
    assert {key: said for key, said in done.items() if said} == written


@settings(deadline=None)
@given(st.lists(block, max_size=5))
def test_the_pieces_in_which_text_arrives_do_not_matter(blocks):
    whole = [(kind, ["".join(texts)]) for kind, texts in blocks]
    end = Finished("stop", USAGE)
    in_pieces, at_once = run(deltas_of(blocks, end)), run(deltas_of(whole, end))
    assert in_pieces[-1]["response"]["output"] == at_once[-1]["response"]["output"]


def test_item_type_and_name_follow_the_declared_tool():
    calls = [
        ("shell", '{"cmd": "ls"}'),
        ("apply_patch", '{"input": "*** Begin Patch"}'),
        ("mcp__demo__add", "{}"),
        ("nope", "x"),
    ]
    deltas = [
        delta for name, text in calls for delta in (ToolCallStarted(name), ToolCallArguments(text), ToolCallFinished())
    ]
    output = run([*deltas, Finished("stop", USAGE)])[-1]["response"]["output"]
    shown = [
        (item["type"], item["name"], item.get("namespace"), item.get("arguments", item.get("input"))) for item in output
    ]
    assert shown == [
        ("function_call", "shell", None, '{"cmd": "ls"}'),
        ("custom_tool_call", "apply_patch", None, "*** Begin Patch"),
        ("function_call", "add", "mcp__demo", "{}"),
        ("function_call", "nope", None, "x"),
    ]
    assert len({item["call_id"] for item in output}) == len(output)


def test_usage_counts_cached_and_reasoning_tokens():
    terminal = run([TextDelta("x"), Finished("stop", USAGE)])[-1]
    assert terminal["response"]["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 15,
    }


@pytest.mark.parametrize("end", [Finished("stop"), Finished("length"), Failed("server_error", "gone")])
@pytest.mark.parametrize("limited", [True, False])
def test_a_call_that_was_cut_off_is_never_announced_as_done(end, limited):
    emitted = run([ToolCallStarted("shell"), ToolCallArguments('{"cmd": "rm -rf'), end], limited=limited)
    kinds = [event["type"] for event in emitted]
    assert "response.output_item.done" not in kinds
    assert "response.function_call_arguments.done" not in kinds
    assert emitted[-1]["response"]["output"] == []
    assert kinds[-1] in ("response.failed", "response.incomplete")


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_a_client_that_wants_no_parallel_calls_gets_one(reason):
    stream = make_stream(max_tool_calls=1)
    emitted = stream.start()
    for name in ("shell", "apply_patch"):
        for delta in (ToolCallStarted(name), ToolCallArguments("{}"), ToolCallFinished()):
            emitted += stream.feed(delta)
    emitted += stream.feed(TextDelta("and more"))
    emitted += stream.feed(Finished(reason, USAGE))
    assert GRAMMAR.match("".join(SHORT[event["type"]] for event in emitted))
    assert [item["name"] for item in emitted[-1]["response"]["output"]] == ["shell"]
    assert emitted[-1]["response"]["status"] == "completed"


def test_running_out_of_the_clients_own_limit_is_incomplete():
    terminal = run([TextDelta("x"), Finished("length", USAGE)], limited=True)[-1]
    assert terminal["type"] == "response.incomplete"
    assert terminal["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert terminal["response"]["output"][0]["status"] == "incomplete"


def test_running_out_of_context_tells_the_client_to_compact():
    terminal = run([TextDelta("x"), Finished("length", USAGE)])[-1]
    assert terminal["type"] == "response.failed"
    assert terminal["response"]["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("after", [TextDelta("x"), ReasoningDelta("x"), ToolCallStarted("shell")])
def test_nothing_that_follows_an_unclosed_call_completes_it(after):
    emitted = run([ToolCallStarted("shell"), ToolCallArguments("{}"), after])
    assert emitted[-1]["type"] == "response.failed"
    assert "response.output_item.done" not in [event["type"] for event in emitted]


@pytest.mark.parametrize("deltas", [[], [ReasoningDelta("hm")]])
def test_a_turn_without_an_answer_is_a_failure_that_clients_retry(deltas):
    terminal = run([*deltas, Finished("stop", USAGE)])[-1]
    assert terminal["type"] == "response.failed"
    assert terminal["response"]["error"]["code"] == "server_error"


def test_heartbeats_keep_the_numbering():
    stream = make_stream()
    emitted = [*stream.start(), stream.heartbeat(), *stream.feed(TextDelta("x")), stream.heartbeat()]
    assert [event["sequence_number"] for event in emitted] == list(range(len(emitted)))


def test_feeding_outside_a_stream_is_a_bug():
    stream = make_stream()
    with pytest.raises(StreamProtocolError):
        stream.feed(TextDelta("early"))
    stream.start()
    with pytest.raises(StreamProtocolError):
        stream.feed(ToolCallFinished())
    stream.feed(Finished("stop"))
    with pytest.raises(StreamProtocolError):
        stream.feed(TextDelta("late"))
