"""Grammars over plain text, as the readers of their notations see them and the writer of EBNF does.

A set of characters is a tuple of inclusive ranges of code points, sorted and apart from each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Ranges = tuple[tuple[int, int], ...]

_SURROGATES = (0xD800, 0xDFFF)
_LAST = 0x10FFFF


class UnsupportedGrammar(Exception):
    """The grammar is outside the subset that can be enforced, or is no grammar; the message says where."""


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Character:
    """One character out of `ranges`."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Reference:
    rule: str


@dataclass(frozen=True, slots=True)
class Sequence:
    elements: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    alternatives: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repetition:
    """`most` None: without end."""

    element: Expression
    least: int
    most: int | None


Expression = Text | Character | Reference | Sequence | Choice | Repetition


@dataclass(frozen=True, slots=True)
class Grammar:
    """What `start` derives is a legal text."""

    rules: Mapping[str, Expression]
    start: str


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """All other characters that UTF-8 can hold."""
    others: list[tuple[int, int]] = []
    following = 0
    for low, high in union((*ranges, _SURROGATES)):
        if following < low:
            others.append((following, low - 1))
        following = high + 1
    if following <= _LAST:
        others.append((following, _LAST))
    return tuple(others)


def in_any_case(text: str) -> Expression:
    """`text` without regard to upper and lower case."""
    return Sequence(tuple(Character(both_cases(((ord(letter), ord(letter)),))) for letter in text))


def both_cases(ranges: Ranges) -> Ranges:
    """With the other case of each ASCII letter."""
    letters = [chr(code) for low, high in ranges for code in range(low, min(high, 0x7F) + 1)]
    swapped = [ord(letter.swapcase()) for letter in letters if letter.isalpha()]
    return union((*ranges, *((code, code) for code in swapped)))
