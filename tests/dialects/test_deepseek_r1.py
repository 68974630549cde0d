"""R1's dialect: raw text in any pieces, and history that its template renders to what the model wrote."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment
from reading import read_all

from sgcx.dialects.deepseek_r1 import DeepSeekR1, DeepSeekReader, chat_template_path
from sgcx.dialects.turns import IMAGE_NOTE
from sgcx.responses.deltas import ReasoningDelta, TextDelta, ToolCallArguments
from sgcx.responses.items import (
    ImagePart,
    Message,
    Reasoning,
    TextPart,
    ToolCall,
    ToolOutput,
)

SECTION = "<｜tool▁calls▁begin｜>{}<｜tool▁calls▁end｜>"
CALL_END = "<｜tool▁call▁end｜>"


def called(name, arguments):
    return f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```{CALL_END}"


def read(pieces, *, reasoning=True):
    return read_all(DeepSeekReader(reasoning=reasoning), pieces)


LS = [("call", "shell"), ("a", '{"cmd": "ls"}'), ("end",)]
READ = [("call", "read"), ("a", "{}"), ("end",)]
TWO_CALLS = SECTION.format(called("shell", '{"cmd": "ls"}') + "\n" + called("read", "{}"))
PATCH = json.dumps({"input": "*** Begin Patch\n+```json\n+{}\n+```\n```"})

CASES = {
    "reasoning, text and two calls": (
        "plan\n</think>\n\nI look.  " + TWO_CALLS,
        [("r", "plan\n"), ("t", "\n\nI look.  "), *LS, *READ],
    ),
    "a call while still thinking": (
        "let me see" + TWO_CALLS + "\n</think>done",
        [("r", "let me see"), *LS, *READ, ("t", "done")],
    ),
    "a call while still thinking, then text before the thought is closed": (
        "hm" + SECTION.format(called("read", "{}")) + "so</think>done",
        [("r", "hm"), *READ, ("t", "sodone")],
    ),
    "a call without a section": ("x</think>" + called("read", "{}"), [("r", "x"), *READ]),
    "text after the calls": (
        "</think>" + SECTION.format(called("read", "{}")) + "\n\nafter",
        [*READ, ("t", "\n\nafter")],
    ),
    "white space after the calls": ("</think>" + SECTION.format(called("read", "{}")) + "\n\n", READ),
    "a section that is never closed": ("</think><｜tool▁calls▁begin｜>" + called("read", "{}"), READ),
    "fences inside the arguments": (
        "</think>" + SECTION.format(called("apply_patch", PATCH)),
        [("call", "apply_patch"), ("a", PATCH), ("end",)],
    ),
    "a fence that stands alone inside the arguments": (
        "</think>" + called("f", "{\n```\n\n}\n"),
        [("call", "f"), ("a", "{\n```\n\n}\n"), ("end",)],
    ),
    "no closing fence": (
        '</think><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{"a": "`"}' + CALL_END,
        [("call", "f"), ("a", '{"a": "`"}'), ("end",)],
    ),
    "no fences at all": (
        "</think><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n{}" + CALL_END,
        [("call", "f"), ("a", "{}"), ("end",)],
    ),
    "a fence of no language, and other white space": (
        "</think><｜tool▁call▁begin｜> function <｜tool▁sep｜> f \n\n ``` \n{}  ```\n\n" + CALL_END,
        [("call", "f"), ("a", "{}"), ("end",)],
    ),
    "fences on one line": (
        "</think><｜tool▁call▁begin｜>function<｜tool▁sep｜>f```json{}```" + CALL_END,
        [("call", "f"), ("a", "{}"), ("end",)],
    ),
    "as V3.1 writes it": (
        "</think>" + SECTION.format('<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}' + CALL_END),
        [("call", "f"), ("a", '{"a": 1}'), ("end",)],
    ),
    "as V3.1 writes it, with fences": (
        "</think><｜tool▁call▁begin｜>f<｜tool▁sep｜>\n```json\n{}\n```" + CALL_END,
        [("call", "f"), ("a", "{}"), ("end",)],
    ),
    "no separator": (
        "</think><｜tool▁call▁begin｜>f\n```json\n{}\n```" + CALL_END,
        [("call", "f"), ("a", "{}"), ("end",)],
    ),
    "no arguments": ("</think><｜tool▁call▁begin｜>function<｜tool▁sep｜>f" + CALL_END, [("call", "f"), ("end",)]),
    "empty fences": (
        "</think><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n```" + CALL_END,
        [("call", "f"), ("end",)],
    ),
    "arguments that are no JSON": (
        "</think>" + called("f", '{"cmd": "cat '),
        [("call", "f"), ("a", '{"cmd": "cat '), ("end",)],
    ),
    "an unterminated call": (
        "</think><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n" + '{"cmd',
        [("call", "f"), ("a", '{"cmd')],
    ),
    "an unterminated call behind its closing fence": (
        "</think><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n```\n<｜tool▁calls▁end｜>",
        [("call", "f"), ("a", "{}\n```\n<｜tool▁calls▁end｜>")],
    ),
    "a call cut inside its name": ("</think><｜tool▁call▁begin｜>function<｜tool▁sep｜>sh", [("call", "sh")]),
    "a call cut inside its opening": (
        "</think><｜tool▁call▁begin｜>function<｜tool▁sep｜>sh\n```js",
        [("call", "sh")],
    ),
    "a call cut before its name": ("</think><｜tool▁call▁begin｜>functi", [("call", "functi")]),
    "code fences and angle brackets": (
        "a < b</think>```py\nif a<｜b: pass\n```\n",
        [("r", "a < b"), ("t", "```py\nif a<｜b: pass\n```\n")],
    ),
    "an answer about the tags": (
        "about <think></think>write <think> and </think>",
        [("r", "about <think>"), ("t", "write <think> and </think>")],
    ),
    "reasoning that never ends": ("still thinking", [("r", "still thinking")]),
    "a marker that is cut at the end": ("x</think>y<｜tool▁ca", [("r", "x"), ("t", "y<｜tool▁ca")]),
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


@given(st.lists(st.sampled_from(["<think>", "</think>", "<｜tool▁", "call▁begin｜>", "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>", "function", "text",
    "```json\n", "```", "`", "\n", " ", "{", "}", "<", "｜"]), max_size=24), st.booleans())  # fmt: skip
def test_any_garbage_is_survived_and_its_pieces_do_not_matter(words, reasoning):
    whole = "".join(words)
    assert read(words, reasoning=reasoning) == read([whole], reasoning=reasoning)
    assert read(list(whole), reasoning=reasoning) == read([whole], reasoning=reasoning)


def test_arguments_stream_while_they_are_written():
    reader = DeepSeekReader(reasoning=True)
    reader.feed('</think><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{"text": "one')
    assert reader.feed(" two") == [ToolCallArguments(" two")]


def test_the_end_of_the_prompt_tells_what_the_model_continues():
    dialect = DeepSeekR1()
    assert dialect.reader(prompt_tail="<｜Assistant｜><think>\n").feed("hello") == [ReasoningDelta("hello")]
    instant = dialect.reader(prompt_tail="<think>\n\n</think>\n\n")
    assert instant.feed("hello") == [TextDelta("hello")]


def test_a_model_that_opens_its_thought_itself_is_understood():
    assert read(["\n<think>hm</think>yes <think>"], reasoning=False) == [("r", "hm"), ("t", "yes <think>")]


# writing


def text(role, content):
    return Message(role, (TextPart(content),))


def test_leading_instructions_become_one_system_message_and_later_ones_stay_in_place():
    messages = DeepSeekR1().messages(
        [
            text("system", "base"),
            text("developer", "rules"),
            text("user", "environment"),
            text("user", "go"),
            text("assistant", "done"),
            text("developer", "plan mode"),
            text("user", "next"),
        ],
        images=False,
    )
    assert messages == [
        {"role": "system", "content": "base\n\nrules"},
        {"role": "user", "content": "environment"},
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "done"},
        {"role": "user", "content": "[developer]\nplan mode"},
        {"role": "user", "content": "next"},
    ]


def test_a_turn_becomes_one_assistant_message_and_outputs_follow_in_the_order_of_the_calls():
    messages = DeepSeekR1().messages(
        [
            text("user", "go"),
            Reasoning("thought"),
            text("assistant", "I look."),
            ToolCall("call_x", "mcp__demo__add", '{"a":  1}'),
            ToolCall("call_y", "apply_patch", '{"input": "*** Begin"}'),
            ToolOutput("call_y", (TextPart("ok"),)),
            ToolOutput("call_x", (TextPart("3"),)),
        ],
        images=False,
    )
    functions = [
        {"name": "mcp__demo__add", "arguments": '{"a":  1}'},
        {"name": "apply_patch", "arguments": '{"input": "*** Begin"}'},
    ]
    assert messages == [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning_content": "thought",
            "tool_calls": [
                {"id": call_id, "type": "function", "function": function}
                for call_id, function in zip(("call_0", "call_1"), functions, strict=True)
            ],
        },
        {"role": "tool", "tool_call_id": "call_0", "content": "3"},
        {"role": "tool", "tool_call_id": "call_1", "content": "ok"},
    ]


@pytest.mark.parametrize("images", [True, False])
def test_an_image_leaves_a_note(images):
    item = Message("user", (TextPart("look"), ImagePart("data:image/png;base64,AA", "high")))
    assert DeepSeekR1().messages([item], images=images)[0]["content"] == f"look{IMAGE_NOTE}"


# rendering

SHELL = {"name": "shell", "description": "Runs <a> command & waits", "parameters": {"type": "object"}}
TOOLS = [
    {"type": "function", "function": SHELL},
    {"type": "function", "function": {"name": "now", "description": None, "parameters": {}}},
]
TURN = "<｜end▁of▁sentence｜>"


def environment():
    """As transformers sets it up."""
    sandbox = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    sandbox.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return sandbox


SOURCE = chat_template_path().read_text(encoding="ascii")
# SGLang puts line breaks for all `\n` before it compiles a template file.
TEMPLATES = [environment().from_string(source) for source in (SOURCE, SOURCE.replace("\\n", "\n"))]


def render(items, *, tools=TOOLS, **arguments):
    rendered = {
        template.render(
            messages=DeepSeekR1().messages(items, images=False),
            tools=tools,
            bos_token="<BOS>",
            add_generation_prompt=True,
            **{**DeepSeekR1().template_arguments(thinking=True), **arguments},
        )
        for template in TEMPLATES
    }
    assert len(rendered) == 1
    return rendered.pop()


def test_a_conversation_renders_in_the_format_of_the_model():
    conversation = [
        text("developer", "Be brief."),
        text("user", "a"),
        text("user", "b"),
        Reasoning("hm\n"),
        text("assistant", "\n\nI look."),
        ToolCall("1", "shell", '{"cmd":"ls"}'),
        ToolCall("2", "now", "not json"),
        ToolOutput("1", (TextPart("x < y"),)),
        ToolOutput("2", (TextPart("noon"),)),
    ]
    calls = SECTION.format(called("shell", '{"cmd":"ls"}') + "\n" + called("now", "not json"))
    assert render(conversation, tools=None) == (
        "<BOS>Be brief.<｜User｜>a<｜User｜>b"
        f"<｜Assistant｜><think>\nhm\n</think>\n\nI look.{calls}{TURN}"
        "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>x < y<｜tool▁output▁end｜>\n"
        "<｜tool▁output▁begin｜>noon<｜tool▁output▁end｜><｜tool▁outputs▁end｜>"
        "<｜Assistant｜><think>\n"
    )


def test_tools_are_declared_behind_the_system_prompt_with_an_example_that_reads_as_a_call():
    prompt = render([text("developer", "Be brief."), text("user", "go")])
    system, _, rest = prompt.partition("<｜User｜>")
    assert system.startswith("<BOS>Be brief.\n\n## Tools\n")
    assert f"`shell`\n```json\n{json.dumps(SHELL)}\n```" in system
    assert '`now`\n```json\n{"name": "now", "parameters": {}}\n```' in system
    assert ("call", "FUNCTION_NAME") in read([system], reasoning=False)
    assert rest == "go<｜Assistant｜><think>\n"
    assert render([text("user", "go")]).startswith("<BOS>## Tools\n")


def test_a_model_that_is_not_to_think_continues_behind_an_empty_thought():
    assert render([text("user", "go")], thinking=False).endswith("<｜Assistant｜><think>\n\n</think>\n\n")


def test_without_preserve_thinking_only_the_turn_in_progress_keeps_its_reasoning():
    items = [
        text("user", "a"),
        Reasoning("old"),
        text("assistant", "\n\nA"),
        text("user", "b"),
        Reasoning("new"),
        ToolCall("1", "now", "{}"),
        ToolOutput("1", (TextPart("noon"),)),
    ]
    prompt = render(items, tools=None, preserve_thinking=False)
    assert prompt.startswith(
        f"<BOS><｜User｜>a<｜Assistant｜>\n\nA{TURN}<｜User｜>b<｜Assistant｜><think>\nnew</think>"
    )
    assert "old" in render(items, tools=None)


def test_a_template_file_that_sglang_takes_for_one_with_images_would_get_content_in_parts():
    assert not [word for word in ("image", "audio", "video", "vision") if word in SOURCE]


TEXTS = st.text(alphabet="ab1 \n`{}\"'\\<>/|&é｜", max_size=20)
SPACE = st.text(alphabet=" \n", max_size=3)
ARGUMENTS = st.builds(lambda before, inside, after: f"{before}{{{inside}}}{after}", SPACE, TEXTS, SPACE)
CALLS = st.lists(st.tuples(st.sampled_from(["shell", "now"]), ARGUMENTS), max_size=3)
GENERATIONS = st.lists(st.tuples(TEXTS.filter(bool), TEXTS, CALLS), min_size=1, max_size=4)


def items_of(read_text):
    """What a client sends back of a generation."""
    items = []
    for entry in read_text:
        match entry:
            case ("r", content):
                items.append(Reasoning(content))
            case ("t", content):
                items.append(text("assistant", content))
            case ("call", name):
                items.append(ToolCall(f"call_{len(items)}", name, ""))
            case ("a", content):
                call = items.pop()
                items.append(ToolCall(call.call_id, call.name, content))
    return items


@given(GENERATIONS, TEXTS)
def test_every_prompt_begins_with_the_prompt_before_and_what_the_model_wrote(generations, output):
    conversation = [text("developer", "rules"), text("user", "go")]
    for reasoning, content, calls in generations:
        section = SECTION.format("\n".join(called(*call) for call in calls)) if calls else ""
        generated = f"{reasoning}</think>{content}{section}"
        prompt = render(conversation)
        found = items_of(read([generated]))
        assert [(call.name, call.arguments) for call in found if isinstance(call, ToolCall)] == calls
        conversation += found
        answered = [ToolOutput(call.call_id, (TextPart(output),)) for call in found if isinstance(call, ToolCall)]
        conversation += answered or [text("developer", "mode"), text("user", "next")]
        assert render(conversation).startswith(prompt + generated + TURN)
