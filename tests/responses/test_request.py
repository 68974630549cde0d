"""`parse_request`: everything that Codex sends is taken; what is malformed is named."""

from __future__ import annotations

import pytest

from sgcx.errors import InvalidRequest
from sgcx.responses.items import ImagePart, Message, Reasoning, TextPart, ToolCall, ToolOutput
from sgcx.responses.request import parse_request


def items(*elements):
    return parse_request({"input": list(elements)}).input


def test_a_string_is_one_user_message():
    assert parse_request({"input": "hello"}).input == (Message("user", (TextPart("hello"),)),)


def test_every_item_that_codex_sends_is_read():
    assert items(
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "be brief"}]},
        {"role": "user", "content": "hi"},
        {
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "hm"}],
            "encrypted_content": None,
        },
        {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": '{"cmd": '},
        {"type": "function_call", "call_id": "c2", "name": "add", "namespace": "mcp__x", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "aborted"},
        {"type": "custom_tool_call", "call_id": "c3", "name": "apply_patch", "input": "*** Begin Patch"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c3",
            "output": [
                {"type": "input_text", "text": "ok"},
                {"type": "input_image", "image_url": "data:image/png;base64,x", "detail": "high"},
            ],
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]},
    ) == (
        Message("developer", (TextPart("be brief"),)),
        Message("user", (TextPart("hi"),)),
        Reasoning("hm"),
        ToolCall("c1", "shell", '{"cmd": '),
        ToolCall("c2", "mcp__x__add", "{}"),
        ToolOutput("c1", (TextPart("aborted"),)),
        ToolCall("c3", "apply_patch", '{"input": "*** Begin Patch"}'),
        ToolOutput("c3", (TextPart("ok"), ImagePart("data:image/png;base64,x", "high"))),
        Message("assistant", (TextPart("done"),)),
    )


def test_reasoning_without_content_is_read_from_its_summary():
    summary = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    assert items({"type": "reasoning", "summary": summary, "content": None}) == (Reasoning("a\n\nb"),)
    assert items({"type": "reasoning", "summary": []}) == ()


def test_unknown_items_tools_and_parts_are_left_out_and_reported():
    request = parse_request(
        {
            "input": [
                {"type": "ghost_snapshot"},
                {"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_audio"}]},
            ],
            "tools": [{"type": "web_search"}, {"type": "function", "name": "f"}],
        }
    )
    assert request.input == (Message("user", (TextPart("hi"),)),)
    assert list(request.tools.by_exposed_name) == ["f"]
    assert request.ignored == (
        "tools[0].type=web_search",
        "input[0].type=ghost_snapshot",
        "input[1].content[1].type=input_audio",
    )


@pytest.mark.parametrize(
    "body",
    [
        {
            "include": ["reasoning.encrypted_content"],
            "store": False,
            "prompt_cache_key": "k",
            "client_metadata": {"a": "b"},
        },
        {"text": {"verbosity": "low"}, "service_tier": "flex", "parallel_tool_calls": True},
        {"reasoning": {}, "tools": []},
        {"reasoning": None, "tools": None, "text": None, "tool_choice": None},
        {"reasoning": {"effort": "bogus", "summary": "auto"}, "something_new": {"x": 1}},
    ],
)
def test_what_codex_sends_besides_never_is_an_error(body):
    assert parse_request({"input": "hi", **body}).thinking


@pytest.mark.parametrize("effort", ["none", "minimal"])
def test_low_efforts_switch_thinking_off(effort):
    assert not parse_request({"input": "hi", "reasoning": {"effort": effort}}).thinking


def test_a_thread_title_needs_no_thinking():
    metadata = {"x-codex-turn-metadata": '{"thread_source": "thread_title"}'}
    assert not parse_request({"input": "hi", "client_metadata": metadata}).thinking
    assert parse_request({"input": "hi", "client_metadata": {"x-codex-turn-metadata": "{"}}).thinking


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": 3}, "input"),
        ({"input": [3]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]}, "input[0].arguments"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "file:///etc/passwd"}]}]},
            "input[0].content[0].image_url",
        ),
        ({"input": "x", "temperature": 3}, "temperature"),
        ({"input": "x", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "x", "stream": "yes"}, "stream"),
        ({"input": "x", "tools": [{"type": "function"}]}, "tools[0].name"),
        ({"input": "x", "tools": [{"type": "function", "name": "f"}] * 2}, "tools"),
        ({"input": "x", "text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"input": "x", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": "x", "tool_choice": "sometimes"}, "tool_choice"),
        ({"input": "x", "tool_choice": 3}, "tool_choice"),
        ([], None),
    ],
)
def test_malformed_requests_name_the_place(body, param):
    with pytest.raises(InvalidRequest) as caught:
        parse_request(body)
    assert caught.value.param == param
