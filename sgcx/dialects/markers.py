"""Finding markers in text that arrives in arbitrary pieces."""

from __future__ import annotations

from collections.abc import Iterable


def find_first(text: str, markers: Iterable[str]) -> tuple[int, str] | None:
    """The earliest marker in `text`, and where it starts."""
    found = [(at, marker) for marker in markers if (at := text.find(marker)) >= 0]
    return min(found, default=None)


def held_back(text: str, markers: Iterable[str]) -> int:
    """How many characters at the end of `text` could be the beginning of a marker: they wait for the next piece."""
    longest = 0
    for marker in markers:
        for length in range(min(len(marker) - 1, len(text)), longest, -1):
            if text.endswith(marker[:length]):
                longest = length
                break
    return longest
