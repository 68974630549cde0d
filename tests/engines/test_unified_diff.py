"""Edits read from a diff do what diff meant, forwards and backwards."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgcx.engines.patches.unified_diff import DiffMismatch, parse_unified_diff, put_in, take_out

# Form feeds and line separators end a line for str.splitlines, but not for diff.
texts = st.lists(st.sampled_from(["a", "b", "c", "", "-", "+", "@@", "x\x0cy", "x\u2028y"]), max_size=30)


def unified(before: list[str], after: list[str]) -> str:
    lines = difflib.unified_diff([f"{line}\n" for line in before], [f"{line}\n" for line in after], "a/f", "b/f")
    return "".join(lines)


def joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


different_lines = st.lists(st.sampled_from([*"abcdefgh", "", "-", "+", "@@", "x\x0cy", "x\u2028y"]), unique=True)


@given(texts, texts)
def test_a_diff_goes_in(before: list[str], after: list[str]) -> None:
    if before == after:
        return
    assert put_in(joined(before), parse_unified_diff(unified(before, after))) == joined(after)


@given(different_lines, different_lines, st.data())
def test_whatever_part_of_a_diff_is_in_is_found_and_comes_out_again(
    before: list[str], after: list[str], data: st.DataObject
) -> None:
    if before == after:
        return
    edits = parse_unified_diff(unified(before, after))
    part = data.draw(st.sets(st.sampled_from(edits)))
    assert take_out(put_in(joined(before), part), edits) == (joined(before), part)


@given(texts, st.permutations([0, 1, 2]))
def test_edits_of_one_file_go_in_in_any_order(middle: list[str], order: list[int]) -> None:
    before = ["first", *middle, "second", *middle, "third"]
    marks = ["first", "second", "third"]
    edits = [
        edit
        for index in order
        for edit in parse_unified_diff(unified(before, [f"{x}!" if x == marks[index] else x for x in before]))
    ]
    expected = joined([f"{line}!" if line in marks else line for line in before])
    assert put_in(joined(before), edits) == expected
    assert take_out(expected, edits) == (joined(before), set(edits))


def test_a_text_that_the_diff_was_not_made_for_is_refused() -> None:
    edits = parse_unified_diff(unified(["a", "b"], ["a", "c"]))
    with pytest.raises(DiffMismatch):
        put_in("a\nx\n", edits)


def test_a_diff_whose_file_ends_without_a_line_feed_is_refused() -> None:
    with pytest.raises(ValueError, match="line feed"):
        parse_unified_diff("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n")
