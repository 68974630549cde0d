"""Structural tags as engines get them, held against xgrammar in the engine's Python: which texts behind the reasoning
are legal."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path

import pytest

from sgcx.dialects.deepseek_r1 import DeepSeekR1
from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.responses.constraint import Constraint, constraint_of
from sgcx.responses.grammars.matcher import matcher_of
from sgcx.responses.request import parse_request

_ACCEPT = """
import json, pickle, sys
from xgrammar import Grammar
from xgrammar.testing import _is_grammar_accept_string
from sgcx.engines.structural_tags import enforceable_tag
verdicts = []
for constraint, dialect, texts in pickle.load(sys.stdin.buffer):
    grammar = Grammar.from_structural_tag(enforceable_tag(constraint, dialect))
    verdicts.append([_is_grammar_accept_string(grammar, text) for text in texts])
print(json.dumps(verdicts))
"""

ROOT = Path(__file__).parents[2]
APPLY_PATCH = Path(__file__).with_name("apply_patch.lark").read_text(encoding="utf-8")
TOOLS = [
    {
        "type": "function",
        "name": "pick",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        },
    },
    {"type": "function", "name": "free", "parameters": {"type": "object", "properties": {}}},
    {
        "type": "custom",
        "name": "apply_patch",
        "format": {"type": "grammar", "syntax": "lark", "definition": APPLY_PATCH},
    },
]
UNREADABLE = {"type": "string", "pattern": "(?=x)x"}
UNREADABLE_TOOL = {
    "type": "function",
    "name": "unreadable",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"x": UNREADABLE},
        "required": ["x"],
        "additionalProperties": False,
    },
}
UNREADABLE_ANSWER = {"type": "json_schema", "name": "s", "schema": {"type": "object", "properties": {"x": UNREADABLE}}}
TYPED_TOOLS = [{"type": "shell"}, {"type": "local_shell"}, {"type": "apply_patch"}]
SCHEMA = {"type": "json_schema", "name": "s", "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}}}
TALL_SCHEMA = {
    "type": "json_schema",
    "name": "s",
    "schema": {"type": "object", "properties": {"é": {"type": "string"}, "any": {}}, "required": ["é"]},
}
SUM = r"""
start: sum
sum: atom | sum ("+" | "-") atom
atom: INT | "(" sum ")"
%import common.INT
%ignore " "
"""
SUM_TOOL = {"type": "custom", "name": "sum", "format": {"type": "grammar", "syntax": "lark", "definition": SUM}}
GOOD_PATCH = '*** Begin Patch\n*** Update File: a "b"\\é\n@@ def f\n-x\n+\ty\n z\n*** End Patch\n'
BAD_PATCH = GOOD_PATCH.replace("\n z", "\nz")


def kimi_call(name, arguments):
    return f"<|tool_call_begin|>functions.{name}:12<|tool_call_argument_begin|>{arguments}<|tool_call_end|>"


def kimi(*calls):
    written = "".join(kimi_call(*call) for call in calls)
    return f"<|tool_calls_section_begin|>{written}<|tool_calls_section_end|>"


def deepseek(*calls):
    written = "\n".join(
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```<｜tool▁call▁end｜>"
        for name, arguments in calls
    )
    return f"<｜tool▁calls▁begin｜>{written}<｜tool▁calls▁end｜>"


def patch(text):
    return "apply_patch", json.dumps({"input": text}, ensure_ascii=False)


def judged_without_a_decoder(tool, texts):
    """`texts` as calls of `tool`: those of which the endpoint's own check says that they match, and the others."""
    matching, other = [], []
    for text in texts:
        matcher = matcher_of(tool["format"]["definition"], tool["format"]["syntax"])
        matcher.feed(text)
        found = matching if matcher.verdict == "matches" else other
        found.append([(tool["name"], json.dumps({"input": text}, ensure_ascii=False))])
    assert matching
    assert other
    return {"tools": [tool]}, matching, other


PICK, BAD_PICK, FREE = ("pick", '{"n": 1}'), ("pick", '{"n": "1"}'), ("free", '{"any": ["thing"]}')

CASES = {
    "strict tools bind their arguments and nothing else": (
        {},
        ["text", [PICK], [FREE, PICK], [("free", "{cut")], [patch(GOOD_PATCH)]],
        [[BAD_PICK], [("unknown", "{}")], [patch(BAD_PATCH)], [patch("")], [FREE, BAD_PICK]],
    ),
    "tools that are known by their type are called with what their items hold": (
        {"tools": TYPED_TOOLS},
        [
            "text",
            [("shell", '{"commands": ["ls"], "timeout_ms": 100}')],
            [("local_shell", '{"command": ["ls"], "env": {"A": "b"}}')],
            [("apply_patch", '{"type": "delete_file", "path": "a"}')],
        ],
        [
            [("shell", '{"commands": "ls"}')],
            [("shell", '{"command": ["ls"]}')],
            [("local_shell", '{"command": ["ls"], "env": {"A": 1}}')],
            [("apply_patch", '{"type": "rename_file", "path": "a"}')],
        ],
    ),
    "none": ({"tool_choice": "none"}, ["text", "text with { and ```"], [[FREE]]),
    "required": ({"tool_choice": "required"}, [[FREE], [PICK, FREE]], ["text", [], [BAD_PICK], [("free", "[]")]]),
    "a named tool is called exactly once": (
        {"tool_choice": {"type": "custom", "name": "apply_patch"}},
        [[patch(GOOD_PATCH)]],
        ["text", [FREE], [patch(BAD_PATCH)], [patch(GOOD_PATCH), patch(GOOD_PATCH)]],
    ),
    "allowed tools": (
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "free"}]}},
        ["text", [FREE], [FREE, FREE]],
        [[PICK], [patch(GOOD_PATCH)]],
    ),
    "one call at most": ({"parallel_tool_calls": False}, ["text", [FREE]], [[FREE, FREE]]),
    "a schema binds the answer, not the calls": (
        {"text": {"format": SCHEMA}},
        ['{"ok": true}', [FREE], [PICK, PICK]],
        ["text", '{"ok": 1}', [BAD_PICK]],
    ),
    "JSON under a schema has no white space of its own": (
        {"text": {"format": TALL_SCHEMA}, "tools": []},
        ['{"é": "  \\n  ", "any": [{"x": [1, 2]}]}'],
        ['{\n"é": ""}', '{"é":  ""}', '{"é": "" }', '{"é": "", "any": [ 1]}', '{"é": "", "any": [{"x":\n1}]}'],
    ),
    "a schema that cannot be read loosens its own tool": (
        {"tools": [*TOOLS, UNREADABLE_TOOL], "text": {"format": SCHEMA}},
        ['{"ok": true}', [("unreadable", '{"y": 1}')], [PICK]],
        ['{"ok": 1}', [BAD_PICK], [patch(BAD_PATCH)]],
    ),
    "a schema of answers that cannot be read loosens no tool": (
        {"text": {"format": UNREADABLE_ANSWER}},
        ['{"x": 1}', [PICK]],
        ["text", [BAD_PICK], [patch(BAD_PATCH)]],
    ),
    "the check of inputs agrees on what is broken of a patch": judged_without_a_decoder(
        TOOLS[2], [GOOD_PATCH[:at] + GOOD_PATCH[at + 1 :] for at in range(0, len(GOOD_PATCH), 2)]
    ),
    "the check of inputs agrees on a recursive grammar": judged_without_a_decoder(
        SUM_TOOL, ["1", "1+2", "( 1+(2 -3))", "1-(2", "1-2)", "+1", "", " 1", "1 + ", "()", "(((1)))-(((2)))"]
    ),
    "a schema where no tool may be called": (
        {"text": {"format": SCHEMA}, "tool_choice": "none"},
        ['{"ok": true}'],
        ["text", [FREE]],
    ),
    "a schema where a tool must be called": (
        {"text": {"format": SCHEMA}, "tool_choice": "required"},
        [[FREE]],
        ['{"ok": true}'],
    ),
}


def constraint(**fields) -> Constraint:
    request = parse_request({"input": "hi", "tools": TOOLS} | fields)
    return constraint_of(
        request.tools,
        request.tool_choice,
        max_calls=request.max_calls,
        answer_schema=request.text_format.schema,
    )


@pytest.fixture(scope="module", params=[(KimiK2(), kimi), (DeepSeekR1(), deepseek)], ids=["kimi_k2", "deepseek_r1"])
def judged(request, engine_python):
    """Per case the verdicts on its legal and its illegal texts, and what was logged; one process for all of them."""
    dialect, written = request.param

    def text(case):
        return case if isinstance(case, str) else written(*case)

    asked = [
        (constraint(**fields), dialect, [text(case) for case in (*legal, *illegal)])
        for fields, legal, illegal in CASES.values()
    ]
    done = subprocess.run(
        [engine_python, "-W", "ignore", "-c", _ACCEPT],
        input=pickle.dumps(asked),
        capture_output=True,
        cwd=ROOT,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    return dict(zip(CASES, json.loads(done.stdout), strict=True)), done.stderr.decode()


@pytest.mark.parametrize("name", CASES)
def test_xgrammar_takes_the_legal_texts_only(judged, name):
    verdicts, _ = judged
    _, legal, illegal = CASES[name]
    assert verdicts[name] == [True] * len(legal) + [False] * len(illegal)


def test_what_is_loosened_is_named_in_the_log(judged):
    _, log = judged
    loosened = [line.split(": ")[1] for line in log.splitlines() if line.startswith("loosened")]
    assert loosened == ["arguments of 'unreadable'", "the answer's schema"]


def test_what_binds_nothing_needs_no_grammar():
    free = [tool for tool in TOOLS if tool["name"] == "free"]
    assert not constraint(tools=free).binds
    assert not constraint(tools=free, parallel_tool_calls=False).binds
    assert not constraint(tools=[]).binds
    every = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "free"}]}
    assert not constraint(tools=free, tool_choice=every).binds
