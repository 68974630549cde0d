"""Finding markers in pieces of text."""

from __future__ import annotations

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
