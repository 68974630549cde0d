"""Grammars over plain text, as the readers of their notations see them and the writer of EBNF does.

A set of characters is a tuple of inclusive ranges of code points, sorted and apart from each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
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


def barren_rules(rules: Mapping[str, Expression]) -> list[str]:
    """The rules that derive no text: they go round in circles. A decoder that gets into one gets stuck."""
    barren = set(rules)
    users: defaultdict[str, list[str]] = defaultdict(list)
    for rule, body in rules.items():
        for name in references(body):
            users[name].append(rule)
    waiting = list(rules)
    while waiting:
        rule = waiting.pop()
        if rule in barren and _has_text(rules[rule], barren):
            barren.remove(rule)
            waiting += users[rule]
    return [rule for rule in rules if rule in barren]


def references(expression: Expression) -> list[str]:
    """The rules that it names."""
    match expression:
        case Reference(name):
            return [name]
        case Sequence(elements) | Choice(elements):
            return [name for element in elements for name in references(element)]
        case Repetition(element):
            return references(element)
        case Text() | Character():
            return []


def _has_text(expression: Expression, barren: Collection[str]) -> bool:
    match expression:
        case Text() | Character():
            return True
        case Reference(rule):
            return rule not in barren
        case Sequence(elements):
            return all(_has_text(element, barren) for element in elements)
        case Choice(alternatives):
            return any(_has_text(alternative, barren) for alternative in alternatives)
        case Repetition(element, least):
            return least == 0 or _has_text(element, barren)


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
