"""What a model wrote comes back to it as it wrote it, whatever items its calls were in between.

Model text → reader → output items, as the SDK types them → the client's next input → chat messages → the
published template. The new prompt begins with the old one and the text: that is what the prefix cache holds.
"""

from __future__ import annotations

import itertools
import json

import pytest
from chat_templates import load_template, published, render
from hypothesis import given
from hypothesis import strategies as st
from sdk_judge import judge

from sgcx.dialects.deepseek_r1 import DeepSeekR1, chat_template_path
from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.rehearsal.checkpoint import TEMPLATE
from sgcx.responses.deltas import Finished
from sgcx.responses.request import parse_request
from sgcx.responses.stream import ResponseStream

ADD = {"type": "function", "name": "add"}
LONG = "a_function_with_a_name_that_is_longer_than_engines_allow_for_a_function"
TOOLS = [
    {"type": "function", "name": "exec_command", "parameters": {"properties": {"cmd": {"type": "string"}}}},
    {"type": "function", "name": "mcp__demo__add"},
    {"type": "namespace", "name": "mcp__demo", "tools": [ADD, {"type": "function", "name": LONG}]},
    {"type": "custom", "name": "note"},
    {"type": "tool_search", "execution": "client"},
    {"type": "shell"},
    {"type": "local_shell"},
    {"type": "apply_patch"},
]
SHOWN = list(parse_request({"input": "", "tools": TOOLS}).tools.by_exposed_name)
ADD_SHOWN, LONG_SHOWN = SHOWN[2], SHOWN[3]

TEXTS = st.text(alphabet="ab1 \n`{}\"'\\/&é", max_size=12)
LINES = st.lists(TEXTS, max_size=2)


def arguments(**fields):
    """As models write them."""
    return st.fixed_dictionaries(fields).map(lambda value: json.dumps(value, ensure_ascii=False))


CALLS = st.one_of(
    st.tuples(st.just("exec_command"), arguments(cmd=TEXTS)),
    st.tuples(st.just("exec_command"), st.sampled_from(['{"cmd": "cat ', '{"cmd":', "ls", "[1]"])),
    st.tuples(st.sampled_from(["mcp__demo__add", ADD_SHOWN, LONG_SHOWN]), st.just('{"a":  1}')),
    st.tuples(st.just("note"), arguments(input=TEXTS)),
    st.tuples(st.just("tool_search"), arguments(query=TEXTS)),
    st.tuples(st.just("shell"), arguments(commands=LINES, timeout_ms=st.integers(0, 9))),
    st.tuples(st.just("local_shell"), arguments(command=LINES, working_directory=TEXTS)),
    st.tuples(st.just("apply_patch"), arguments(type=st.just("update_file"), path=TEXTS, diff=TEXTS)),
    st.tuples(st.just("apply_patch"), arguments(path=TEXTS, type=st.just("delete_file"))),
)
STEP = st.tuples(TEXTS.filter(bool), TEXTS, st.lists(CALLS, min_size=1, max_size=3))
STEPS = st.lists(STEP, min_size=1, max_size=3)


def kimi_text(reasoning, content, calls, first):
    written = "".join(
        f"<|tool_call_begin|>functions.{name}:{first + number}<|tool_call_argument_begin|>{text}<|tool_call_end|>"
        for number, (name, text) in enumerate(calls)
    )
    return f"{reasoning}</think>{content}<|tool_calls_section_begin|>{written}<|tool_calls_section_end|>"


def deepseek_text(reasoning, content, calls, _):
    written = "\n".join(
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{text}\n```<｜tool▁call▁end｜>"
        for name, text in calls
    )
    return f"{reasoning}</think>{content}<｜tool▁calls▁begin｜>{written}<｜tool▁calls▁end｜>"


def answered(items):
    """What the client sends back: the items, and an output for each call."""
    outputs = []
    for item in items:
        kind = item["type"]
        if kind == "tool_search_call":
            outputs.append({"type": "tool_search_output", "call_id": item["call_id"], "tools": [ADD]})
        elif kind == "shell_call":
            ran = [{"stdout": "x", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
            outputs.append({"type": "shell_call_output", "call_id": item["call_id"], "output": ran})
        elif kind == "local_shell_call":
            outputs.append({"type": "local_shell_call_output", "id": item["id"], "output": "x"})
        elif kind == "apply_patch_call":
            outputs.append({"type": "apply_patch_call_output", "call_id": item["call_id"], "status": "completed"})
        elif kind.endswith("_call"):
            outputs.append({"type": f"{kind}_output", "call_id": item["call_id"], "output": "x"})
    return [*items, *outputs]


def respond(request, dialect, text, prompt):
    """The output items of a response whose model text is `text`."""
    ids = itertools.count(len(request.input))
    stream = ResponseStream.of(
        request,
        response_id="resp_1",
        model="m",
        seal=None,
        new_id=lambda prefix: f"{prefix}_{next(ids)}",
        now=lambda: 0,
    )
    reader = dialect.reader(prompt_tail=prompt[-64:])
    deltas = [*reader.feed(text), *reader.finish(), Finished("stop")]
    events = [event for batch in (stream.start(), *map(stream.feed, deltas)) for event in batch]
    judge(events)
    assert events[-1]["type"] == "response.completed"
    return events[-1]["response"]["output"]


# K2 Thinking opens its reasoning itself, and its template drops the reasoning of finished turns: here is only one.
CASES = {
    "kimi_k2, its published template": (KimiK2(), published("kimi-k2-thinking"), kimi_text, "<think>", "<|im_end|>"),
    "kimi_k2, with preserved thinking": (
        KimiK2(),
        load_template(TEMPLATE.read_text(encoding="utf-8")),
        kimi_text,
        "",
        "<|im_end|>",
    ),
    "deepseek_r1": (
        DeepSeekR1(),
        load_template(chat_template_path().read_text(encoding="ascii")),
        deepseek_text,
        "",
        "<｜end▁of▁sentence｜>",
    ),
}


@pytest.mark.parametrize(("dialect", "template", "written", "opening", "end"), CASES.values(), ids=CASES)
@given(steps=STEPS)
def test_every_prompt_begins_with_the_one_before_and_what_the_model_wrote(
    dialect, template, written, opening, end, steps
):
    def prompt_of(conversation):
        request = parse_request({"input": conversation, "tools": TOOLS})
        messages = dialect.messages(request.input, images=False)
        variables = dialect.template_arguments(thinking=True)
        return request, render(template, messages, tools=list(request.tools.chat_tools()), **variables)

    conversation = [{"role": "developer", "content": "rules"}, {"role": "user", "content": "go"}]
    request, prompt = prompt_of(conversation)
    calls_before = 0
    for reasoning, content, calls in steps:
        text = opening + written(reasoning, content, calls, calls_before)
        items = respond(request, dialect, text, prompt)
        conversation += answered(json.loads(json.dumps(items)))
        request, next_prompt = prompt_of(conversation)
        assert next_prompt.startswith(prompt + text + end)
        prompt = next_prompt
        calls_before += len(calls)
