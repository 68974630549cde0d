"""Arguments as strict clients can decode them, and untouched wherever they already can."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgcx.responses.arguments.custom_input import CustomInputStream
from sgcx.responses.arguments.mending import finish_object
from sgcx.responses.arguments.stream import ArgumentStream
from sgcx.responses.tools.declared import CustomTool, FunctionTool

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


def through(stream, pieces):
    return "".join([*map(stream.feed, pieces), stream.finish()])


def finish_arguments(text, parameters):
    return through(ArgumentStream(parameters), [text])


def finish_custom_input(text, tool):
    return through(CustomInputStream(tool), [text])


PATCH = CustomTool("apply_patch", None, grammar='start: "*** Begin Patch" LF', syntax="lark")
SUM = CustomTool("sum", None, grammar=r"\d+(\+\d+)*\n", syntax="regex")


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
        ('{"tty": null, "cmd": "ls"}', '{"cmd": "ls"}'),
        ('{"tty": null}', "{}"),
        ('{"cmd": "cat ', '{"cmd": "cat '),
        ('{"cmd": "cat \\\\', '{"cmd": "cat \\\\'),
        ('{"cmd": "ls", "tty": "fal', '{"cmd": "ls", "tty": "fal'),
        ('{"tty": "true", cmd}', '{"tty": true, cmd}'),
        ('{"cmd": "grep \\d \\"x\\""}', '{"cmd": "grep \\\\d \\"x\\""}'),
        ('{"cmd": "a\nb"}', '{"cmd": "a\\nb"}'),
        ('{"cmd": "\\ud83d", "tty": "true"}', '{"cmd": "\\ufffd", "tty": true}'),
        ("[1]", "[1]"),
    ],
)
def test_the_schema_mends_what_it_decides_and_nothing_else(written, usable):
    assert finish_arguments(written, EXEC.parameters) == usable


leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
names = st.sampled_from([*EXEC.parameters["properties"], "extra", 'ke"y'])
objects = st.dictionaries(names, values, max_size=5)
written = st.builds(
    lambda value, spaced, ascii_only: json.dumps(value, indent=1 if spaced else None, ensure_ascii=ascii_only),
    objects,
    st.booleans(),
    st.booleans(),
)
fragments = st.lists(
    st.sampled_from(
        [*'{}[]",:\\ \n1u', '"cmd"', '"input": "', "\\ud83d", "\\ude00", "null", "*** Begin Patch", '{"tty": ', "é"]
    ),
    max_size=14,
).map("".join)
sizes = st.lists(st.integers(1, 5), max_size=40)


def cut(text, lengths):
    pieces = []
    for length in lengths:
        pieces.append(text[:length])
        text = text[length:]
    return [*pieces, text]


@given(written)
def test_complete_arguments_decode_to_what_the_schema_makes_of_them(text):
    assert json.loads(finish_arguments(text, EXEC.parameters)) == finish_object(text, EXEC.parameters)


@given(st.one_of(written, fragments), sizes)
def test_the_pieces_in_which_a_call_is_written_do_not_matter(text, lengths):
    pieces = cut(text, lengths)
    assert through(ArgumentStream(EXEC.parameters), pieces) == finish_arguments(text, EXEC.parameters)
    for tool in (PATCH, CustomTool("note", None), SUM):
        assert through(CustomInputStream(tool), pieces) == finish_custom_input(text, tool)


@given(st.text(), sizes, st.booleans())
def test_the_input_of_a_custom_tool_is_what_its_string_stands_for(text, lengths, ascii_only):
    tool = CustomTool("note", None)
    pieces = cut(json.dumps({"input": text}, ensure_ascii=ascii_only), lengths)
    stream = CustomInputStream(tool)
    deltas = [*map(stream.feed, pieces), stream.finish()]
    assert "".join(deltas) == text
    assert all(delta.encode() or not delta for delta in deltas)


def test_strings_go_out_while_they_are_written():
    stream = ArgumentStream(EXEC.parameters)
    assert [stream.feed(piece) for piece in ('{"cm', 'd": "ls', " -l", '", "tty": t', "rue", "}")] == [
        "{",
        '"cmd": "ls',
        " -l",
        '"',
        "",
        ', "tty": true}',
    ]


def test_a_patch_goes_out_line_by_line():
    stream = CustomInputStream(PATCH)
    pieces = ('{"input": "*** Beg', "in Patch\\n*** Add File: a", "\\", "n+x\\ud83d", '\\ude00"', "}")
    assert [stream.feed(piece) for piece in pieces] == ["", "*** Begin Patch\n*** Add File: a", "", "\n+x", "😀", ""]
    assert stream.finish() == ""


@given(objects)
def test_arguments_of_an_undeclared_tool_stay_verbatim(arguments):
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


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("1+2\n", "1+2\n"),
        ("1+2", "1+2\n"),
        ("```\n1+2\n```", "1+2\n"),
        ("```text\n1+2\n```\n", "1+2\n"),
        ("```\n1+x\n```", "```\n1+x\n```"),
        ("```\n1+2\n", "```\n1+2\n"),
        ("```1+2```", "```1+2```"),
        ("``", "``"),
        ("1+", "1+"),
        ("1+x\n", "1+x\n"),
        ("", ""),
    ],
)
def test_an_input_is_mended_where_its_grammar_leaves_no_doubt(text, mended):
    for written in (json.dumps({"input": text}), json.dumps({"other": text})):
        assert finish_custom_input(written, SUM) == mended


def test_fences_and_missing_line_feeds_stay_where_the_grammar_allows_them():
    for grammar in (r"(.|\n)*", r"```[a-z]+", r"[^\n]*"):
        tool = CustomTool("note", None, grammar=grammar, syntax="regex")
        for text in ("```\nx\n```", "```x", "a"):
            assert finish_custom_input(json.dumps({"input": text}), tool) == text


def test_an_input_with_a_grammar_goes_out_while_it_is_written():
    stream = CustomInputStream(SUM)
    assert [stream.feed(piece) for piece in ('{"input": "1', "+2", "+", '3"', "}")] == ["1", "+2", "+", "3", ""]
    assert stream.finish() == "\n"


class Counted(str):
    """Text that counts how many characters are cut out of it, and out of what is cut out of it."""

    characters = 0

    def __getitem__(self, key):
        cut_out = super().__getitem__(key)
        Counted.characters += len(cut_out)
        return Counted(cut_out)

    def __radd__(self, before):
        return Counted(f"{before}{self}")


def test_the_work_grows_with_the_text_and_not_with_its_square():
    members = (f'"k{number}": "a\\nb"' if number % 2 else f'"k{number}": [{number}]' for number in range(2000))
    text = f"{{{', '.join(members)}}}"
    Counted.characters = 0
    stream = ArgumentStream(EXEC.parameters)
    assert stream.feed(Counted(text)) + stream.finish() == text
    assert Counted.characters < 5 * len(text)


def test_what_follows_the_string_of_a_custom_tool_is_no_part_of_it():
    stream = CustomInputStream(PATCH)
    assert [stream.feed('{"input": "no patch"'), stream.feed("}"), stream.finish()] == ["", "", "no patch"]
