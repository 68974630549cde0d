"""Calls as output items: their type follows the declared tool's, and the OpenAI SDK's types accept them."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdk_judge import judge

from sgcx.responses import sse
from sgcx.responses.deltas import Finished, ToolCallArguments, ToolCallFinished, ToolCallStarted
from sgcx.responses.request import parse_request
from sgcx.responses.stream import ResponseStream

DEMO = [{"type": "function", "name": "add"}, {"type": "custom", "name": "say"}]
TOOLS = [
    {"type": "function", "name": "exec_command", "parameters": {"properties": {"n": {"type": "integer"}}}},
    {"type": "custom", "name": "note"},
    {"type": "namespace", "name": "mcp__demo", "tools": DEMO},
    {"type": "tool_search", "execution": "client", "parameters": {"properties": {"limit": {"type": "number"}}}},
    {"type": "shell"},
    {"type": "local_shell"},
    {"type": "apply_patch"},
]


def called(name, written):
    """The events of a response that makes one call, judged by the SDK and fit for the wire."""
    numbers = itertools.count(1)
    stream = ResponseStream.of(
        parse_request({"input": "hi", "tools": TOOLS}),
        response_id="resp_1",
        model="m",
        seal=None,
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        now=lambda: 1_700_000_000,
    )
    deltas = [ToolCallStarted(name), ToolCallArguments(written), ToolCallFinished(), Finished("stop")]
    events = [event for batch in (stream.start(), *map(stream.feed, deltas)) for event in batch]
    judge(events)
    assert all(map(sse.encode, events))
    return events


def item(name, written):
    [done] = [event["item"] for event in called(name, written) if event["type"] == "response.output_item.done"]
    return {key: value for key, value in done.items() if key not in ("id", "call_id", "status")}


PATCH = {"type": "update_file", "path": "a.py", "diff": "@@\n-a\n+b\n"}


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        ("exec_command", '{"n": "1"}', {"type": "function_call", "name": "exec_command", "arguments": '{"n": 1}'}),
        ("unknown", '{"n": "1"}', {"type": "function_call", "name": "unknown", "arguments": '{"n": "1"}'}),
        ("note", '{"input": "a"}', {"type": "custom_tool_call", "name": "note", "input": "a"}),
        *[
            (name, "{}", {"type": "function_call", "name": "add", "namespace": "mcp__demo", "arguments": "{}"})
            for name in ("mcp__demo__add", "add", "mcp__demo.add")
        ],
        (
            "mcp__demo__say",
            '{"input": "a"}',
            {"type": "custom_tool_call", "name": "say", "namespace": "mcp__demo", "input": "a"},
        ),
        (
            "tool_search",
            '{"query": "add", "limit": "3"}',
            {"type": "tool_search_call", "execution": "client", "arguments": {"query": "add", "limit": 3}},
        ),
        *[
            (
                "tool_search",
                written,
                {"type": "tool_search_call", "execution": "client", "arguments": {"query": written}},
            )
            for written in ('{"query": NaN}', f'{{"query": {"[" * 300}{"]" * 300}}}')
        ],
        ("tool_search", "add", {"type": "tool_search_call", "execution": "client", "arguments": {"query": "add"}}),
    ],
)
def test_the_item_is_of_the_kind_of_the_tool(name, written, expected):
    assert item(name, written) == expected


@pytest.mark.parametrize(
    ("written", "action"),
    [
        ('{"commands": ["ls", "pwd"], "timeout_ms": 5}', {"commands": ["ls", "pwd"], "timeout_ms": 5}),
        ('{"commands": "ls", "timeout_ms": "5", "x": 1}', {"commands": ["ls"], "timeout_ms": 5}),
        ('{"commands": ["ls"], "timeout_ms": "soon", "max_output_length": true}', {"commands": ["ls"]}),
        ("ls -l", {"commands": ["ls -l"]}),
        ("{}", {"commands": []}),
        ('{"commands": ["echo `date`", ', {"commands": []}),
        ('{"commands": ["a\\ud800"], "timeout_ms": 1e30}', {"commands": ["a\ufffd"]}),
    ],
)
def test_a_shell_call_holds_commands(written, action):
    assert item("shell", written) == {"type": "shell_call", "action": action, "environment": {"type": "local"}}


def test_each_command_of_a_shell_call_is_told_in_events():
    told = [event for event in called("shell", '{"commands": ["ls", "pwd"]}') if "command_index" in event]
    assert [(event["type"].rpartition(".")[2], event["command_index"]) for event in told] == [
        (kind, index) for index in range(2) for kind in ("added", "delta", "done")
    ]
    assert [event["command"] for event in told if event["type"].endswith("done")] == ["ls", "pwd"]


@pytest.mark.parametrize(
    ("written", "action"),
    [
        (
            '{"command": ["ls"], "working_directory": "/tmp", "env": {"A": "b"}}',
            {"command": ["ls"], "working_directory": "/tmp", "env": {"A": "b"}},
        ),
        ('{"command": "ls | wc", "env": null}', {"command": ["bash", "-lc", "ls | wc"], "env": {}}),
        ('{"command": ["ls"], "env": {"A": 1}}', {"command": ["ls"], "env": {}}),
        ("ls", {"command": ["bash", "-lc", "ls"], "env": {}}),
        ('{"command": "echo `date`', {"command": [], "env": {}}),
    ],
)
def test_a_local_shell_call_holds_one_program(written, action):
    assert item("local_shell", written) == {"type": "local_shell_call", "action": {"type": "exec", **action}}


@pytest.mark.parametrize(
    ("written", "operation"),
    [
        ('{"type": "update_file", "path": "a.py", "diff": "@@\\n-a\\n+b\\n"}', PATCH),
        ('{"type": "delete_file", "path": "a.py"}', {"type": "delete_file", "path": "a.py"}),
        ('{"type": "delete_file", "path": "a.py", "diff": ""}', {"type": "delete_file", "path": "a.py"}),
        ('{"type": "rename", "path": 3}', {"type": "update_file", "path": "", "diff": ""}),
        ("*** Begin Patch", {"type": "update_file", "path": "", "diff": "*** Begin Patch"}),
    ],
)
def test_an_apply_patch_call_holds_one_operation(written, operation):
    assert item("apply_patch", written) == {"type": "apply_patch_call", "operation": operation}


NAMES = st.sampled_from(["exec_command", "note", "add", "tool_search", "shell", "local_shell", "apply_patch", "none"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(["commands", "command", "env", "type", "path", "diff", "timeout_ms", "query", "input", "n"])


@given(NAMES, st.one_of(st.text(max_size=12), st.dictionaries(KEYS, VALUES, max_size=4)))
def test_whatever_the_model_writes_the_item_is_well_formed(name, written):
    called(name, written if isinstance(written, str) else json.dumps(written))
