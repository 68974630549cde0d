"""Arguments as strict clients can decode them, and untouched wherever they already can."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgcx.responses.arguments import finish_arguments, finish_custom_input
from sgcx.responses.tools import CustomTool, FunctionTool

EXEC = FunctionTool(
    "exec_command",
    None,
    {
        "type": "object",
        "properties": {
            "cmd": {"type": "string"},
            "tty": {"type": "boolean"},
            "yield_time_ms": {"type": "number"},
            "prefix_rule": {"type": "array", "items": {"type": "string"}},
            "plan": {"type": "array", "items": {"type": "object", "properties": {"step": {"type": "integer"}}}},
            "note": {"type": ["string", "null"]},
        },
        "required": ["cmd"],
    },
)
PATCH = CustomTool("apply_patch", None, grammar='start: "*** Begin Patch" LF', syntax="lark")


@pytest.mark.parametrize(
    ("written", "usable"),
    [
        ("", "{}"),
        ("  \n", "{}"),
        ('{"cmd": "ls", "yield_time_ms": "1000"}', '{"cmd": "ls", "yield_time_ms": 1000}'),
        ('{"cmd": "ls", "yield_time_ms": 1000.0}', '{"cmd": "ls", "yield_time_ms": 1000}'),
        ('{"cmd": "ls", "tty": "false"}', '{"cmd": "ls", "tty": false}'),
        ('{"cmd": "ls", "tty": null}', '{"cmd": "ls"}'),
        ('{"cmd": "ls", "note": null}', '{"cmd": "ls", "note": null}'),
        ('{"cmd": ["git", "log", "a b"]}', '{"cmd": "git log \'a b\'"}'),
        ('{"cmd": "ls", "prefix_rule": "[\\"git\\"]"}', '{"cmd": "ls", "prefix_rule": ["git"]}'),
        ('{"cmd": "x", "plan": [{"step": "1"}]}', '{"cmd": "x", "plan": [{"step": 1}]}'),
        ('{"cmd":"true",  "extra":1.0}', '{"cmd":"true",  "extra":1.0}'),
        ('{"cmd": "cat ', '{"cmd": "cat '),
        ('{"cmd": "a\nb"}', '{"cmd": "a\\nb"}'),
        ('{"cmd": "\\ud83d", "tty": "true"}', '{"cmd": "\ufffd", "tty": true}'),
        ("[1]", "[1]"),
    ],
)
def test_the_schema_mends_what_it_decides_and_nothing_else(written, usable):
    assert finish_arguments(written, EXEC.parameters) == usable


@given(st.dictionaries(st.text(), st.one_of(st.none(), st.booleans(), st.integers(), st.text()), max_size=4))
def test_arguments_of_an_undeclared_tool_stay_verbatim(arguments):
    import json

    text = json.dumps(arguments)
    assert finish_arguments(text, None) == text


BARE = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"


@pytest.mark.parametrize(
    "written",
    [
        '{"input": "*** Begin Patch\\n*** Add File: a\\n+x\\n*** End Patch"}',
        '{"patch": "*** Begin Patch\\n*** Add File: a\\n+x\\n*** End Patch"}',
        '"*** Begin Patch\\n*** Add File: a\\n+x\\n*** End Patch"',
        BARE,
        f"```\n{BARE}\n```",
        f"apply_patch <<'EOF'\n{BARE}\nEOF",
    ],
)
def test_a_patch_is_found_in_every_wrapping_that_models_write(written):
    assert finish_custom_input(written, PATCH) == BARE


def test_raw_line_breaks_and_halves_of_characters_do_not_spoil_an_input():
    assert finish_custom_input('{"input": "' + BARE + '"}', PATCH) == BARE
    assert finish_custom_input('{"input": "x \\ud83d y"}', PATCH) == "x \ufffd y"


def test_text_without_a_patch_stays_as_it_is():
    assert finish_custom_input("hello", PATCH) == "hello"
    assert finish_custom_input('{"input": "```x```"}', CustomTool("note", None)) == "```x```"
