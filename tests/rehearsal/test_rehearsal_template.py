"""The chat template, rendered as transformers renders it: history reads back as it was generated."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sgcx.rehearsal.agent import Reply
from sgcx.rehearsal.checkpoint import TEMPLATE
from sgcx.rehearsal.conversation import AssistantTurn, Instruction, ToolResult, UserMessage, parse_prompt

TOOLS = [{"type": "function", "function": {"name": "exec_command", "parameters": {"a": "<&'é"}}}]


def render(messages: list[dict[str, Any]], **options: object) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(messages=messages, **{"add_generation_prompt": True, **options})


def as_message(reply: Reply, *, parsed: bool = False) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": reply.text,
        "reasoning_content": reply.reasoning,
        "tool_calls": [
            {"id": call_id, "function": {"arguments": json.loads(text) if parsed else text}}
            for call_id, text in reply.calls
        ],
    }


REPLIES = [
    Reply("r", " thinks\n\n", "\n  says \n"),
    Reply("r", "a", "", (("functions.f:0", '{"cmd": "é\\n<b>"}'), ("functions.g:1", "{}"))),
    Reply("r", "a\nb ", " text ", (("functions.f:0", '{"n": [1, 2.5, null]}'),)),
]


@pytest.mark.parametrize("parsed", [False, True])
@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("reply", REPLIES)
def test_what_was_generated_is_the_prefix_of_the_next_prompt(reply: Reply, thinking: bool, parsed: bool) -> None:
    history = [{"role": "system", "content": "s\n"}, {"role": "user", "content": " u "}]
    before = render(history, tools=TOOLS, thinking=thinking) + reply.written(thinking=thinking)
    if not thinking:
        reply = Reply("r", "", reply.text, reply.calls)
    after = [*history, as_message(reply, parsed=parsed), {"role": "user", "content": "next"}]
    assert render(after, tools=TOOLS, preserve_thinking=True).startswith(before + "<|im_end|>")


def test_the_reasoning_of_finished_turns_is_dropped_unless_it_is_preserved() -> None:
    done, busy = REPLIES[0], REPLIES[1]
    messages = [
        {"role": "user", "content": "u"},
        as_message(done),
        {"role": "user", "content": "v"},
        as_message(busy),
        {"role": "tool", "tool_call_id": "functions.f:0", "content": "x"},
    ]
    dropped = render(messages)
    assert "<think></think>\n  says" in dropped and "<think>a</think>" in dropped
    assert "<think> thinks\n\n</think>" in render(messages, preserve_thinking=True)


def test_a_prompt_reads_back_as_the_conversation_it_was_made_from() -> None:
    messages = [
        {"role": "developer", "content": "d"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}],
        },
        as_message(REPLIES[1]),
        {"role": "tool", "tool_call_id": "functions.f:0", "content": [{"type": "text", "text": "x\n"}]},
        {"role": "tool", "tool_call_id": "functions.g:1", "content": ""},
    ]
    conversation = parse_prompt(render(messages, tools=TOOLS))
    assert conversation.tools == {"exec_command"}
    assert conversation.thinking
    assert conversation.messages == (
        Instruction("developer", "d"),
        UserMessage("a[image_url]b"),
        AssistantTurn("a", "", REPLIES[1].calls),
        ToolResult("functions.f:0", "x\n"),
        ToolResult("functions.g:1", ""),
    )
