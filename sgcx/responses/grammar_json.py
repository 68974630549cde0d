"""A grammar over plain text, written as EBNF over the JSON that holds such a text as a string.

Every character has exactly one form: the one that `json.dumps(…, ensure_ascii=False)` gives it. History is
rendered that way too, so that what was decoded under the grammar is found again in the prefix cache.
"""

from __future__ import annotations

import json

from sgcx.responses.grammar_expressions import (
    Character,
    Choice,
    Expression,
    Grammar,
    Ranges,
    Reference,
    Repetition,
    Sequence,
    Text,
)

ROOT = "root"
_ESCAPED = (*range(0x20), ord('"'), ord("\\"))


def json_property_ebnf(name: str, grammar: Grammar) -> str:
    """EBNF, in xgrammar's notation, of `{"name": "text"}` for every text of the grammar."""
    names = {rule: f"rule{index}" for index, rule in enumerate(grammar.rules)}
    opening, closing = json.dumps({name: ""})[:-2], '"}'
    lines = [f"{ROOT} ::= {_literal(opening)} {names[grammar.start]} {_literal(closing)}"]
    lines += [f"{names[rule]} ::= {_written(expression, names)}" for rule, expression in grammar.rules.items()]
    return "\n".join(lines)


def _written(expression: Expression, names: dict[str, str]) -> str:
    match expression:
        case Text(text):
            return _literal(_escaped(text))
        case Character(ranges):
            return _character(ranges)
        case Reference(rule):
            return names[rule]
        case Sequence(elements):
            return "(" + (" ".join(_written(element, names) for element in elements) or '""') + ")"
        case Choice(alternatives):
            return "(" + " | ".join(_written(alternative, names) for alternative in alternatives) + ")"
        case Repetition(element, least, most):
            return f"({_written(element, names)}){_quantifier(least, most)}"


def _quantifier(least: int, most: int | None) -> str:
    match least, most:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case _, None:
            return f"{{{least},}}"
        case _:
            return f"{{{least},{most}}}"


def _character(ranges: Ranges) -> str:
    plain = _without(ranges, _ESCAPED)
    forms = [f"[{''.join(map(_range, plain))}]"] if plain else []
    escapes = [_escaped(chr(code)) for code in _ESCAPED if any(low <= code <= high for low, high in ranges)]
    short = "".join(escape[1] for escape in escapes if len(escape) == 2)
    if short:
        forms.append('"\\\\" [' + "".join(_code(ord(letter)) for letter in short) + "]")
    for first in "01":
        last = "".join(escape[5] for escape in escapes if len(escape) == 6 and escape[4] == first)
        if last:
            forms.append(f'"\\\\u00{first}" [{last}]')
    return "(" + " | ".join(forms) + ")"


def _without(ranges: Ranges, codes: tuple[int, ...]) -> Ranges:
    remaining: list[tuple[int, int]] = []
    for low, high in ranges:
        for code in codes:
            if low <= code <= high:
                if low < code:
                    remaining.append((low, code - 1))
                low = code + 1
        if low <= high:
            remaining.append((low, high))
    return tuple(remaining)


def _range(bounds: tuple[int, int]) -> str:
    low, high = bounds
    return _code(low) if low == high else f"{_code(low)}-{_code(high)}"


def _code(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _literal(text: str) -> str:
    """What the text is made of, one code at a time where EBNF could read something into it."""
    quoted = "".join(letter if letter.isalnum() and letter.isascii() else _code(ord(letter)) for letter in text)
    return f'"{quoted}"'
