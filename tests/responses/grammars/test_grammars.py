"""Grammars of custom tools: which are read, what they say, and how their texts look inside JSON."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgcx.responses.grammars.expressions import (
    Character,
    Choice,
    Grammar,
    Reference,
    Repetition,
    Sequence,
    Text,
    UnsupportedGrammar,
)
from sgcx.responses.grammars.json import json_property_ebnf
from sgcx.responses.grammars.lark import parse_lark
from sgcx.responses.grammars.regex import parse_regex
from sgcx.responses.request import parse_request

DIGIT = Character(((0x30, 0x39),))


def letter(text):
    return Character(((ord(text), ord(text)),))


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        (r"\d", DIGIT),
        (r"^ab$", Sequence((letter("a"), letter("b")))),
        (r"a|b", Choice((letter("a"), letter("b")))),
        (r"(?:a)*?", Repetition(letter("a"), 0, None)),
        (r"a{2,3}", Repetition(letter("a"), 2, 3)),
        (r"a{2,}", Repetition(letter("a"), 2, None)),
        (r"{", letter("{")),
        (r"[a-c\]-]", Character(((0x2D, 0x2D), (0x5D, 0x5D), (0x61, 0x63)))),
        (r"[^\x00-\U0010fffe]", Character(((0x10FFFF, 0x10FFFF),))),
        (r"\.", letter(".")),
    ],
)
def test_regular_expressions_are_read(pattern, meant):
    assert parse_regex(pattern) == meant


def test_flags_of_regular_expressions():
    assert parse_regex("a", "i") == Character(((0x41, 0x41), (0x61, 0x61)))
    assert parse_regex(".", "s") != parse_regex(".")


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)b",
        r"(a)\1",
        r"\ba",
        "a++",
        "a+{1,3}",
        "a{2}{3}",
        "(a",
        "a)",
        "[a",
        "[z-a]",
        "*a",
        "a{3,2}",
        "a{2000}",
        r"\p{L}",
        "^a|b$",
        "(" * 90,
    ],
)
def test_what_is_outside_the_subset_is_no_grammar(pattern):
    with pytest.raises(UnsupportedGrammar):
        parse_regex(pattern)


def test_lark_is_read():
    grammar = parse_lark(
        """
        // a comment
        ?start: pair ("," pair)* -> list   # and another
        pair.2: NAME "=" (INT | "\\t\\u0041"i)?
              | [NAME] /x\\/y/ ~ 1..2
        NAME: "a".."c"+
        %import common.INT
        """
    )
    assert grammar.rules["start"] == Sequence(
        (Reference("pair"), Repetition(Sequence((Text(","), Reference("pair"))), 0, None))
    )
    assert grammar.rules["NAME"] == Repetition(Character(((0x61, 0x63),)), 1, None)
    assert grammar.rules["INT"] == Repetition(DIGIT, 1, None)
    slash = Sequence((letter("x"), letter("/"), letter("y")))
    assert grammar.rules["pair"].alternatives[1] == Sequence(
        (Repetition(Reference("NAME"), 0, 1), Repetition(slash, 1, 2))
    )


def test_ignored_text_may_follow_every_terminal_of_a_rule():
    ignored = Reference("ignored text")
    grammar = parse_lark('start: "a" B\nB: "b" "c"\n%import common.WS\n%ignore WS')
    inner = Sequence((Sequence((Text("a"), ignored)), Sequence((Reference("B"), ignored))))
    assert grammar.rules["start"] == Sequence((ignored, inner))
    assert grammar.rules["B"] == Sequence((Text("b"), Text("c")))


@pytest.mark.parametrize(
    "definition",
    [
        "",
        "begin: A",
        "start: A",
        'start: "a"\nstart: "b"',
        'start: "a',
        "start: (",
        'start: "a" ~ 5000',
        "start: /(?!a)b/",
        "%import python.NAME\nstart: NAME",
        "%declare A\nstart: A",
        'start: list{"a"}',
        "start: common\n%import common",
        "?",
        "start: " + "(" * 90,
        "start: start",
        'start: "a" start',
        'start: "a" | "b" A\nA: B\nB: A',
    ],
)
def test_lark_outside_the_subset_is_no_grammar(definition):
    with pytest.raises(UnsupportedGrammar):
        parse_lark(definition)


@given(st.text(alphabet='ab:"/|()[]{}*+?~.1\\\n%->,^$ ', max_size=40))
def test_any_text_is_a_grammar_or_outside_the_subset(text):
    for written in (text, "start: " + text):
        with suppress(UnsupportedGrammar):
            json_property_ebnf("input", parse_lark(written))
    with suppress(UnsupportedGrammar):
        parse_regex(text)


def test_counts_that_multiply_beyond_what_can_be_compiled_are_outside_the_subset():
    assert json_property_ebnf("input", Grammar({"start": parse_regex("(a{1,1000}b){1,1000}c{1,1000}")}, "start"))
    with pytest.raises(UnsupportedGrammar):
        json_property_ebnf("input", Grammar({"start": parse_regex("x|((a{1,300}){1,300}b){300,}")}, "start"))


def test_a_text_is_written_as_history_renders_it():
    ebnf = json_property_ebnf("input", Grammar({"start": Text('"\n\\é')}, "start"))
    assert ebnf.splitlines()[1] == r'rule0 ::= "\u005c\u0022\u005cn\u005c\u005c\u00e9"'


def test_a_grammar_that_cannot_be_enforced_is_reported_and_never_an_error():
    tools = [
        {"type": "custom", "name": "a", "format": {"type": "grammar", "syntax": "lark", "definition": "start: ~"}},
        {"type": "custom", "name": "b", "format": {"type": "grammar", "syntax": "abnf", "definition": "x"}},
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "regex", "definition": "x+"}},
        {"type": "custom", "name": "d"},
    ]
    ignored = parse_request({"input": "hi", "tools": tools}).ignored
    assert [entry.partition(":")[0] for entry in ignored] == ["grammar of a", "grammar of b"]


def test_rules_that_lead_to_a_text_may_name_each_other():
    assert parse_lark('start: start "+" atom | atom\natom: "1" | "(" start ")"').start == "start"
    rules = 5000
    chain = "\n".join(f"r{n}: r{n + 1}" for n in range(rules))
    assert len(parse_lark(f'start: r0\n{chain}\nr{rules}: "x"').rules) == rules + 2
