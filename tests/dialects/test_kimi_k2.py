"""Kimi's dialect: raw text in any pieces, and history that renders to what the model wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import read_all

from sgcx.dialects.kimi_k2 import KimiK2, KimiReader, tool_name
from sgcx.dialects.turns import IMAGE_NOTE
from sgcx.responses.deltas import ReasoningDelta, TextDelta
from sgcx.responses.items import (
    ImagePart,
    Message,
    Reasoning,
    TextPart,
    ToolCall,
    ToolOutput,
)

SECTION = "<|tool_calls_section_begin|>{}<|tool_calls_section_end|>"
CALL = "<|tool_call_begin|>{}<|tool_call_argument_begin|>{}<|tool_call_end|>"
TWO_CALLS = SECTION.format(CALL.format("functions.shell:0", '{"cmd": "ls"}') + CALL.format("functions.read:1", "{}"))


def read(pieces, *, reasoning=True):
    return read_all(KimiReader(reasoning=reasoning), pieces)


CASES = {
    "reasoning, text and two calls": (
        "plan\n</think>\n\nI look.  " + TWO_CALLS,
        [
            ("r", "plan\n"),
            ("t", "\n\nI look.  "),
            ("call", "shell"),
            ("a", '{"cmd": "ls"}'),
            ("end",),
            ("call", "read"),
            ("a", "{}"),
            ("end",),
        ],
    ),
    "a call while still thinking": (
        "let me see" + TWO_CALLS + "</think>done",
        [
            ("r", "let me see"),
            ("call", "shell"),
            ("a", '{"cmd": "ls"}'),
            ("end",),
            ("call", "read"),
            ("a", "{}"),
            ("end",),
            ("t", "done"),
        ],
    ),
    "a call without a section": (
        "x</think>" + CALL.format("functions.shell:3", "{}"),
        [("r", "x"), ("call", "shell"), ("a", "{}"), ("end",)],
    ),
    "text after the calls": (
        "</think>" + SECTION.format(CALL.format("functions.a:0", "1")) + "after",
        [("call", "a"), ("a", "1"), ("end",), ("t", "after")],
    ),
    "an unterminated call": (
        "</think>" + SECTION.format("")[:28] + '<|tool_call_begin|>functions.shell:0<|tool_call_argument_begin|>{"cmd',
        [("call", "shell"), ("a", '{"cmd')],
    ),
    "a call cut inside its id": ("</think><|tool_call_begin|>functions.sh", [("call", "sh")]),
    "code fences and angle brackets": (
        "a < b</think>```py\nif a<|b: pass\n```",
        [("r", "a < b"), ("t", "```py\nif a<|b: pass\n```")],
    ),
    "reasoning that speaks of its own tag": ("<think>hm</think>yes", [("r", "<think>hm"), ("t", "yes")]),
    "an answer about the tags themselves": (
        "quote them</think>Strip `<think>` and `</think>` from it",
        [("r", "quote them"), ("t", "Strip `<think>` and `</think>` from it")],
    ),
    "arguments that speak of the section's end": (
        "</think>" + SECTION.format(CALL.format("functions.f:0", '{"a": "<|tool_calls_section_end|>"}')),
        [("call", "f"), ("a", '{"a": "<|tool_calls_section_end|>"}'), ("end",)],
    ),
    "reasoning that never ends": ("still thinking", [("r", "still thinking")]),
    "a marker that is cut at the end": ("x</think>y</thi", [("r", "x"), ("t", "y</thi")]),
    "an id of another shape": (
        "</think>" + SECTION.format(CALL.format("call_12ab", "{}")),
        [("call", "call_12ab"), ("a", "{}"), ("end",)],
    ),
}


@pytest.mark.parametrize(("raw", "expected"), CASES.values(), ids=CASES)
def test_raw_text_reads_as(raw, expected):
    assert read([raw]) == expected


@pytest.mark.parametrize(("raw", "expected"), CASES.values(), ids=CASES)
@given(data=st.data())
def test_the_pieces_do_not_matter(raw, expected, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert read(pieces) == expected
    assert read(list(raw)) == expected


@given(st.lists(st.sampled_from(["<think>", "</think>", "<|tool_", "call_begin|>", "<|tool_calls_section_begin|>",
    "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>", "<|tool_calls_section_end|>",
    "functions.x:0", "text", " ", "{", "<", "|"]), max_size=20), st.booleans())  # fmt: skip
def test_any_garbage_is_survived_and_its_pieces_do_not_matter(words, reasoning):
    whole = "".join(words)
    assert read(words, reasoning=reasoning) == read([whole], reasoning=reasoning)


def test_a_model_that_opens_its_reasoning_itself_is_followed():
    assert read(list("\n<think>hm</think>yes <think>"), reasoning=False) == [("r", "hm"), ("t", "yes <think>")]


def test_an_instant_prompt_starts_with_content():
    dialect = KimiK2()
    thinking, instant = (
        dialect.reader(prompt_tail="<|im_middle|><think>"),
        dialect.reader(prompt_tail="<think></think>"),
    )
    assert thinking.feed("hello") == [ReasoningDelta("hello")]
    assert instant.feed("hello") == [TextDelta("hello")]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("functions.shell:0", "shell"),
        (" functions.mcp__a__b:12 ", "mcp__a__b"),
        ("shell:1", "shell"),
        ("shell", "shell"),
        ("functions.ns:name:3", "ns:name"),
        ("a:b", "a:b"),
    ],
)
def test_tool_names_from_ids(written, name):
    assert tool_name(written) == name


def text(role, content):
    return Message(role, (TextPart(content),))


def test_a_turn_becomes_one_assistant_message_with_canonical_ids():
    messages = KimiK2().messages(
        [
            text("developer", "rules"),
            text("user", "go"),
            Reasoning("first "),
            Reasoning("thought"),
            text("assistant", "I look."),
            ToolCall("call_x", "shell", '{"cmd":  "ls"}'),
            ToolCall("call_y", "apply_patch", '{"input": "*** Begin"}'),
            ToolOutput("call_x", (TextPart("a.txt"),)),
            ToolOutput("call_y", (TextPart("ok"),)),
            Reasoning("more"),
            ToolCall("call_x2", "mcp__demo__add", "{}"),
            ToolOutput("call_x2", (TextPart("3"),)),
            text("developer", "plan mode"),
            text("assistant", "done"),
        ],
        images=True,
    )
    assert messages == [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "first thought",
            "tool_calls": [
                {
                    "id": "functions.shell:0",
                    "type": "function",
                    "function": {"name": "shell", "arguments": '{"cmd":  "ls"}'},
                },
                {
                    "id": "functions.apply_patch:1",
                    "type": "function",
                    "function": {"name": "apply_patch", "arguments": '{"input": "*** Begin"}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "functions.shell:0", "content": "a.txt"},
        {"role": "tool", "tool_call_id": "functions.apply_patch:1", "content": "ok"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "more",
            "tool_calls": [
                {
                    "id": "functions.mcp__demo__add:2",
                    "type": "function",
                    "function": {"name": "mcp__demo__add", "arguments": "{}"},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "functions.mcp__demo__add:2", "content": "3"},
        {"role": "system", "content": "plan mode"},
        {"role": "assistant", "content": "done"},
    ]


def test_images_reach_a_model_that_sees_and_leave_a_note_for_one_that_does_not():
    item = Message("user", (TextPart("look"), ImagePart("data:image/png;base64,AA", "high")))
    assert KimiK2().messages([item], images=True)[0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "high"}},
    ]
    assert KimiK2().messages([item], images=False)[0]["content"] == f"look{IMAGE_NOTE}"


def test_an_image_that_a_tool_returns_reaches_a_model_that_sees():
    history = [ToolCall("c", "view_image", "{}"), ToolOutput("c", (ImagePart("data:image/png;base64,AA", "auto"),))]
    shown, noted = (KimiK2().messages(history, images=images)[1] for images in (True, False))
    assert (shown["role"], shown["tool_call_id"]) == ("tool", "functions.view_image:0")
    assert shown["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "auto"}}
    ]
    assert noted["content"] == IMAGE_NOTE


def test_text_after_a_call_starts_a_new_turn():
    messages = KimiK2().messages([ToolCall("c", "f", "{}"), text("assistant", "after")], images=False)
    assert [message["role"] for message in messages] == ["assistant", "tool", "assistant"]
