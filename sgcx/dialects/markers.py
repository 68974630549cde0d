"""Finding markers in text that arrives in arbitrary pieces."""

from __future__ import annotations

from collections.abc import Iterable

MARKER_START = "<"
"""The first character of every family's markers: text without it needs no closer look."""


def find_first(text: str, markers: Iterable[str]) -> tuple[int, str] | None:
    """The earliest marker in `text`, and where it starts."""
    found = [(at, marker) for marker in markers if (at := text.find(marker)) >= 0]
    return min(found, default=None)


def held_back(text: str, markers: Iterable[str]) -> int:
    """How many characters at the end of `text` could be the beginning of a marker: they wait for the next piece."""
    return max((_held_back(text, marker) for marker in markers), default=0)


def _held_back(text: str, marker: str) -> int:
    at = text.find(marker[0], max(len(text) - len(marker) + 1, 0))
    while at >= 0:
        if marker.startswith(text[at:]):
            return len(text) - at
        at = text.find(marker[0], at + 1)
    return 0
