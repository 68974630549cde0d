"""Finding markers in pieces of text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgcx.dialects import deepseek_r1, kimi_k2
from sgcx.dialects.markers import MARKER_START, held_back

MARKERS = ("<think>", "</think>", "<<a", "aba")


@given(st.text(alphabet="<thinkab/>", max_size=12))
def test_what_could_begin_a_marker_is_held_back_and_nothing_else(text):
    endings = [n for n in range(len(text) + 1) for marker in MARKERS if n < len(marker) and marker[:n] == text[-n:]]
    assert held_back(text, MARKERS) == max([0, *(n for n in endings if n)])


@pytest.mark.parametrize("family", [kimi_k2, deepseek_r1])
def test_text_without_the_first_character_of_markers_holds_none(family):
    markers = {marker for markers in family._MARKERS.values() for marker in markers}
    assert {marker[0] for marker in markers} == {MARKER_START}


@pytest.mark.parametrize("dialect", [kimi_k2.KimiK2(), deepseek_r1.DeepSeekR1()])
@given(data=st.data())
def test_the_end_of_a_turn_is_no_text_at_the_very_end_and_text_in_front_of_other_text(dialect, data):
    end = {"kimi_k2": kimi_k2.TURN_END, "deepseek_r1": deepseek_r1.TURN_END}[dialect.name]
    words = data.draw(st.lists(st.sampled_from(["a", " ", "<", end[:4], end, "</think>"]), max_size=6))
    text = "x" + "".join(words)
    reader = dialect.reader(prompt_tail="")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=4)))
    pieces = [text[start:stop] for start, stop in pairwise([0, *cuts, len(text)])]
    deltas = [delta for piece in pieces for delta in reader.feed(piece)] + reader.finish()
    assert reader.ended == text.endswith(end)
    assert "".join(delta.text for delta in deltas) == text.removesuffix(end)
