"""Logprobs find the text that their tokens became."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.responses.deltas import ReasoningDelta, TextDelta, TokenLogprob, ToolCallArguments
from sgcx.responses.generation.logprob_alignment import LogprobAlignment

THINK_END = "</think>"
CALL = [
    "<|tool_calls_section_begin|>",
    "<|tool_call_begin|>",
    "functions",
    ".shell",
    ":0",
    "<|tool_call_argument_begin|>",
    '{"cmd":',
    ' "<ls"}',
    "<|tool_call_end|>",
    "<|tool_calls_section_end|>",
]

TOKENS = ["a", "b", " a", "ab", "<", "</", "<|", "think", ">", "a<", "x</", "語", "\n"]
words = st.lists(st.sampled_from(TOKENS), max_size=8)


def entry(token):
    return TokenLogprob(token, -0.5, ((token, -0.5),))


def shown(chunks):
    """Tokens by the text deltas that they stand with, from chunks of tokens as an engine hands them out."""
    reader = KimiK2().reader(prompt_tail="<think>")
    alignment = LogprobAlignment()
    deltas = []
    for chunk in chunks:
        deltas += alignment.attach(reader.feed("".join(chunk)), [entry(token) for token in chunk])
    deltas += alignment.attach(reader.finish(), [])
    return [delta for delta in deltas if isinstance(delta, TextDelta)]


def cut(tokens, sizes):
    chunks, rest = [], list(tokens)
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    return [*chunks, rest]


@given(words, words, st.lists(st.integers(1, 4), max_size=12))
def test_each_token_of_the_text_is_shown_once_and_no_other(thoughts, answer, sizes):
    assume(THINK_END not in "".join(thoughts) and THINK_END not in "".join(answer))
    deltas = shown(cut([*thoughts, THINK_END, *answer, *CALL], sizes))
    assert "".join(delta.text for delta in deltas) == "".join(answer)
    assert [logprob.token for delta in deltas for logprob in delta.logprobs] == answer


def test_a_marker_that_contains_the_text_is_not_taken_for_it():
    [delta] = shown([["a", THINK_END, "think"]])
    assert [logprob.token for logprob in delta.logprobs] == ["think"]


def test_a_character_of_several_tokens_gets_all_of_them():
    alignment = LogprobAlignment()
    assert alignment.attach([], [entry("\ufffd"), entry("\ufffd")]) == []
    [delta] = alignment.attach([TextDelta("語")], [entry("\ufffd")])
    assert len(delta.logprobs) == 3
    assert alignment.attach([TextDelta("x")], [entry("x")])[0].logprobs == (entry("x"),)


def test_only_text_has_logprobs():
    alignment = LogprobAlignment()
    deltas = [ReasoningDelta("a"), ToolCallArguments("b")]
    assert alignment.attach(deltas, [entry("a"), entry("b")]) == deltas
