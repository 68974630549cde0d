"""Whether a text is in a grammar's language, held against Python's `re` and against the definition itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgcx.responses.grammars.automaton import Automaton
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
from sgcx.responses.grammars.matcher import Matcher, matcher_of
from sgcx.responses.grammars.network import Network

APPLY_PATCH = (Path(__file__).parents[2] / "dialects" / "apply_patch.lark").read_text(encoding="utf-8")
LINE = r"[^\n]+\n"
CHANGE = r"(?:(?:@@(?: [^\n]+)?\n|[-+ ][^\n]*\n)+(?:\*\*\* End of File\n)?)"
HUNK = (
    rf"(?:\*\*\* Add File: {LINE}(?:\+[^\n]*\n)+|\*\*\* Delete File: {LINE}"
    rf"|\*\*\* Update File: {LINE}(?:\*\*\* Move to: {LINE})?{CHANGE}?)"
)
SAME_AS_APPLY_PATCH = re.compile(rf"\*\*\* Begin Patch\n{HUNK}+\*\*\* End Patch\n?")

CALCULATOR = r"""
    ?start: sum
    ?sum: product | sum "+" product | sum "-" product
    ?product: atom | product "*" atom
    ?atom: NUMBER | "-" atom | "(" sum ")"
    %import common.NUMBER
    %import common.WS_INLINE
    %ignore WS_INLINE
"""


def matched(matcher, *pieces):
    for piece in pieces:
        matcher.feed(piece)
    return matcher


def verdict(definition, text, syntax="lark"):
    return matched(matcher_of(definition, syntax), text).verdict


@pytest.mark.parametrize(
    ("text", "meant", "read"),
    [
        ("1 + 2*(3-4)", "matches", 11),
        (" -  -1 ", "matches", 7),
        ("1 +", "differs", 3),
        ("1 + )", "differs", 4),
        ("", "differs", 0),
        ("(" * 200 + "1" + ")" * 200, "matches", 401),
        ("(" * 200 + "1" + ")" * 201, "differs", 401),
        ("1" + " + 2*3" * 5000, "matches", 30001),
    ],
)
def test_recursive_grammars_are_read_to_the_first_character_that_cannot_stand_there(text, meant, read):
    matcher = matched(matcher_of(CALCULATOR, "lark"), text)
    assert (matcher.verdict, matcher.read) == (meant, read)


@pytest.mark.parametrize("definition", ['start: start "a" |', 'start: "a" start |', 'start: ("a"?)*'])
def test_long_texts_cost_no_more_steps_than_short_ones(definition):
    assert verdict(definition, "a" * 100_000) == "matches"


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        ('start: start start | "a" |', "a" * 5000),
        ('start: "a" start "a" | "a"', "a" * 5001),
        ('start: a a\na: b b |\nb: c c | "x"\nc: start |', "x" * 50),
        ("start: /(.?){900}x/", "a" * 900 + "x"),
        ("start: /[ab]*a[ab]{300}/", "ab" * 50 + "aabbab" * 200),
    ],
)
def test_a_check_that_would_take_too_long_is_given_up(definition, text):
    assert verdict(definition, text) == "unchecked"


def test_what_one_text_could_not_be_checked_with_is_there_for_the_next():
    definition = 'start: start start | "a" |'
    assert verdict(definition, "a" * 5000) == "unchecked"
    assert verdict(definition, "aaa") == "matches"


@pytest.mark.parametrize("pattern", ["((((){1000}){1000}){1000}){1000}", "((a{100}){100}){100}"])
def test_counts_that_multiply_make_no_network(pattern):
    assert matcher_of(pattern, "regex") is None
    assert matcher_of("start: /(?=a)/", "lark") is None


# patches

lines = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=5)
names = st.sampled_from(["a", 'b "c"', "é/漢"])
change = st.one_of(st.sampled_from(["@@", "@@ def f"]), st.tuples(st.sampled_from(["-", "+", " "]), lines).map("".join))
changes = st.lists(change, min_size=1, max_size=3)
hunks = st.one_of(
    st.tuples(names, st.lists(lines.map("+{}".format), min_size=1, max_size=3)).map(
        lambda hunk: [f"*** Add File: {hunk[0]}", *hunk[1]]
    ),
    names.map(lambda name: [f"*** Delete File: {name}"]),
    st.tuples(
        names, st.sampled_from([[], ["*** Move to: m"]]), changes, st.sampled_from([[], ["*** End of File"]])
    ).map(lambda hunk: [f"*** Update File: {hunk[0]}", *hunk[1], *hunk[2], *hunk[3]]),
)
patches = st.lists(hunks, min_size=1, max_size=4).map(
    lambda hunks: "\n".join(["*** Begin Patch", *(line for hunk in hunks for line in hunk), "*** End Patch"])
)


@settings(max_examples=50)
@given(patches, st.integers(0), st.integers(0, 12), st.sampled_from(["", "\n", "+", "*** End Patch\n", "x"]))
def test_patches_and_what_is_broken_of_them(patch, at, removed, added):
    at %= len(patch) + 1
    broken = patch[:at] + added + patch[at + removed :]
    for text in (patch, patch + "\n", broken):
        expected = "matches" if SAME_AS_APPLY_PATCH.fullmatch(text) else "differs"
        assert verdict(APPLY_PATCH, text) == expected


@settings(max_examples=50)
@given(patches, st.lists(st.integers(0, 9), max_size=9))
def test_a_text_that_matches_could_match_at_each_point_however_it_is_cut(patch, lengths):
    matcher = matcher_of(APPLY_PATCH, "lark")
    read = 0
    for length in lengths:
        matcher.feed(patch[read : read + length])
        read = min(read + length, len(patch))
        assert matcher.read == read
        assert matcher.ahead(patch[read:]).verdict == "matches"
        assert matcher.ahead("\x00").verdict == "differs"


# any grammar

patterns = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\W", ""]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("(?:{0[0]}|{0[1]})".format),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"])).map("(?:{0[0]}){0[1]}".format),
    ),
    max_leaves=6,
)
texts = st.text("ab\n-", max_size=7)


@given(patterns, texts)
def test_regular_expressions_match_what_they_match_in_python(pattern, text):
    expected = "matches" if re.fullmatch(pattern, text, re.ASCII) else "differs"
    assert verdict(pattern, text, "regex") == expected


expressions = st.recursive(
    st.one_of(
        st.sampled_from([Text(""), Text("a"), Text("ab"), Character(((0x61, 0x62),))]),
        st.sampled_from("xyz").map(Reference),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda elements: Sequence(tuple(elements))),
        st.lists(inner, min_size=1, max_size=3).map(lambda elements: Choice(tuple(elements))),
        st.tuples(inner, st.sampled_from([(0, 1), (0, None), (1, None), (1, 2)])).map(
            lambda drawn: Repetition(drawn[0], *drawn[1])
        ),
    ),
    max_leaves=5,
)


def ends(expression, text, start, spans):
    """Where `expression` can end that begins at `start`, by the `spans` that are known of the rules."""
    match expression:
        case Text(literal):
            return {start + len(literal)} if text.startswith(literal, start) else set()
        case Character(ranges):
            inside = start < len(text) and any(low <= ord(text[start]) <= high for low, high in ranges)
            return {start + 1} if inside else set()
        case Reference(name):
            return spans[name, start]
        case Choice(alternatives):
            return {end for alternative in alternatives for end in ends(alternative, text, start, spans)}
        case Sequence(elements):
            return in_a_row(elements, text, start, spans)
        case Repetition(element, least, most):
            counts = range(least, len(text) + 2 if most is None else most + 1)
            return {end for count in counts for end in in_a_row([element] * count, text, start, spans)}


def in_a_row(elements, text, start, spans):
    found = {start}
    for element in elements:
        found = {end for middle in found for end in ends(element, text, middle, spans)}
    return found


def derives(grammar, text):
    """By the definition: which rule derives which part of the text, found out from below until nothing is new."""
    spans = {(name, start): set() for name in grammar.rules for start in range(len(text) + 1)}
    known = -1
    while known < (known := sum(map(len, spans.values()))):
        for (name, start), span in spans.items():
            span |= ends(grammar.rules[name], text, start, spans)
    return len(text) in spans[grammar.start, 0]


@given(st.tuples(expressions, expressions, expressions), st.lists(st.text("ab", max_size=6), min_size=1, max_size=5))
def test_any_grammar_means_what_it_derives(rules, texts):
    grammar = Grammar(dict(zip("xyz", rules, strict=True)), "x")
    automaton = Automaton(Network.of(grammar))
    for text in texts:
        assert matched(Matcher(automaton), *text).verdict == ("matches" if derives(grammar, text) else "differs")


def test_a_network_has_a_largest_size():
    with pytest.raises(UnsupportedGrammar):
        Network.of(Grammar({"start": Repetition(Repetition(Text("ab"), 1000, 1000), 1000, 1000)}, "start"))
