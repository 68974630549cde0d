"""Histories as clients really send them: both dialects write every call with exactly one output behind it."""

from __future__ import annotations

import pytest
from chat_templates import load_template, published, render
from hypothesis import given
from hypothesis import strategies as st

from sgcx.dialects.deepseek_r1 import DeepSeekR1, chat_template_path
from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.dialects.pairing import NO_OUTPUT, OUTPUT_ALONE
from sgcx.responses.request import parse_request

OUR_R1 = load_template(chat_template_path().read_text(encoding="ascii"))
DIALECTS = {
    "kimi_k2": (KimiK2(), published("kimi-k2-thinking")),
    "deepseek_r1": (DeepSeekR1(), OUR_R1),
    "deepseek_r1 as published": (DeepSeekR1(), published("deepseek-r1")),
}
both = pytest.mark.parametrize(("dialect", "template"), DIALECTS.values(), ids=DIALECTS)

USER = {"role": "user", "content": "go"}
ANSWER = {"role": "assistant", "content": "done"}


def call(call_id, name="f", arguments="{}"):
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id, text):
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def written(dialect, *items):
    """The conversation in short: a letter for each message, calls and outputs with what they hold."""
    messages = dialect.messages(parse_request({"input": list(items)}).input, images=False)
    short, ids = [], []
    for message in messages:
        calls = [entry["function"]["name"] for entry in message.get("tool_calls", ())]
        ids += [entry["id"] for entry in message.get("tool_calls", ())]
        match message["role"]:
            case "assistant":
                short.append(f"assistant:{message['content']}{''.join(f'<{name}>' for name in calls)}")
            case "tool":
                assert message["tool_call_id"] in ids
                short.append(f"tool:{message['content']}")
            case role:
                short.append(f"{role}:{message['content']}")
    assert len(set(ids)) == len(ids)
    return short


@both
def test_a_missing_output_is_filled_in(dialect, template):
    assert written(dialect, USER, call("a"), call("b", "g"), output("b", "B"), USER) == [
        "user:go",
        "assistant:<f><g>",
        f"tool:{NO_OUTPUT}",
        "tool:B",
        "user:go",
    ]
    assert written(dialect, USER, call("a")) == ["user:go", "assistant:<f>", f"tool:{NO_OUTPUT}"]


@both
def test_outputs_go_behind_their_calls_in_the_order_of_the_calls(dialect, template):
    assert written(dialect, USER, call("a"), call("b", "g"), output("b", "B"), USER, output("a", "A")) == [
        "user:go",
        "assistant:<f><g>",
        "tool:A",
        "tool:B",
        "user:go",
    ]
    assert written(dialect, USER, call("a"), ANSWER, call("b", "g"), output("a", "A"), output("b", "B")) == [
        "user:go",
        "assistant:<f>",
        "tool:A",
        "assistant:done<g>",
        "tool:B",
    ]


@both
def test_an_output_without_a_call_becomes_a_note(dialect, template):
    assert written(dialect, output("a", "A"), USER, call("b"), output("b", "B"), output("b", "again")) == [
        f"user:{OUTPUT_ALONE}A",
        "user:go",
        "assistant:<f>",
        "tool:B",
        f"user:{OUTPUT_ALONE}again",
    ]


@both
def test_call_ids_may_repeat(dialect, template):
    assert written(
        dialect,
        USER,
        *(call("a"), call("a", "g"), output("a", "1"), output("a", "2")),
        *(call("a", "h"), output("a", "3")),
        ANSWER,
    ) == ["user:go", "assistant:<f><g>", "tool:1", "tool:2", "assistant:<h>", "tool:3", "assistant:done"]


@both
def test_a_history_may_end_with_the_assistant(dialect, template):
    assert written(dialect, USER, ANSWER) == ["user:go", "assistant:done"]


@both
def test_arguments_that_are_no_json_stay_as_they_are(dialect, template):
    items = parse_request({"input": [USER, call("a", arguments='{"cmd": "cat '), output("a", "error")]}).input
    [function] = dialect.messages(items, images=False)[1]["tool_calls"]
    assert function["function"]["arguments"] == '{"cmd": "cat '


ITEMS = st.one_of(
    st.sampled_from([USER, ANSWER, {"role": "developer", "content": "mode"}]),
    st.builds(lambda: {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}),
    st.builds(call, st.sampled_from("abc"), st.sampled_from("fgh"), st.sampled_from(["{}", "{", '{"a":1}'])),
    st.builds(output, st.sampled_from("abc"), st.sampled_from(["x", ""])),
)


@both
@given(items=st.lists(ITEMS, max_size=12))
def test_any_history_renders_with_every_output_behind_its_call(dialect, template, items):
    messages = dialect.messages(parse_request({"input": items}).input, images=False)
    waiting = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
        else:
            assert not waiting
            waiting = [entry["id"] for entry in message.get("tool_calls", ())]
    assert not waiting
    render(template, messages, tools=None)
