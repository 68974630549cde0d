"""A grammar over plain text, written as EBNF over the JSON that holds such a text as a string.

Every character has exactly one form: the one that `json.dumps(…, ensure_ascii=False)` gives it. History is
rendered that way too, so that what was decoded under the grammar is found again in the prefix cache.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from sgcx.responses.grammars.expressions import (
    Character,
    Choice,
    Expression,
    Grammar,
    Ranges,
    Reference,
    Repetition,
    Sequence,
    Text,
    UnsupportedGrammar,
)

ROOT = "root"
_MOST_COPIES = 1_000_000
"""Of one expression, where counted repetitions are nested. So many take xgrammar 3 s, 27 times as many have no end."""
_ESCAPED = (*range(0x20), ord('"'), ord("\\"))


def json_property_ebnf(name: str, grammar: Grammar) -> str:
    """EBNF, in xgrammar's notation, of `{"name": "text"}` for every text of the grammar.

    Raises `UnsupportedGrammar`.
    """
    if any(_copies(body) > _MOST_COPIES for body in grammar.rules.values()):
        raise UnsupportedGrammar(f"more than {_MOST_COPIES} repetitions, multiplied")
    opening, closing = json.dumps({name: ""})[:-2], '"}'
    writer = _Writer({rule: f"rule{index}" for index, rule in enumerate(grammar.rules)}, _leaves(grammar))
    lines = [f"{ROOT} ::= {_literal(opening)} {writer.names[grammar.start]} {_literal(closing)}"]
    lines += [f"{writer.names[rule]} ::= {writer.written(body)}" for rule, body in grammar.rules.items()]
    return "\n".join((*lines, *writer.tails))


def _copies(expression: Expression) -> int:
    """How often one of its parts would be written where every count is written out."""
    match expression:
        case Sequence(elements) | Choice(elements):
            return max(map(_copies, elements), default=1)
        case Repetition(element, least, most):
            return max(1, least if most is None else most) * _copies(element)
        case Text() | Character() | Reference():
            return 1


def _leaves(grammar: Grammar) -> dict[str, Expression]:
    """Rules that stand for a text or for characters only."""
    leaves: dict[str, Expression] = {}
    for rule, body in grammar.rules.items():
        match body:
            case Text() | Character() | Repetition(Character()):
                leaves[rule] = body
    return leaves


@dataclass(slots=True)
class _Writer:
    """Any number of characters and what follows them become a rule of their own, `tail ::= x tail | rest`.

    In that form a token that is neither more characters nor the beginning of `rest` is known to be illegal.
    Otherwise xgrammar has to ask, for each such token at each step, what follows the rule: fifty times slower.
    """

    names: dict[str, str]
    leaves: dict[str, Expression]
    _tails: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def tails(self) -> list[str]:
        return [f"{name} ::= {repeated} {name} | {rest}" for (repeated, rest), name in self._tails.items()]

    def written(self, expression: Expression) -> str:
        match expression:
            case Text(text):
                return _literal(_escaped(text))
            case Character(ranges):
                return _character(ranges)
            case Reference(rule):
                return self.names[rule]
            case Sequence(elements):
                return "(" + " ".join(self._in_turn(self._flat(elements))) + ")"
            case Choice(alternatives):
                return "(" + " | ".join(map(self.written, alternatives)) + ")"
            case Repetition(element, least, most):
                return f"({self.written(element)}){_quantifier(least, most)}"

    def _flat(self, elements: tuple[Expression, ...]) -> list[Expression]:
        """Without sequences in sequences, and with the leaves themselves in place of their names."""
        flat: list[Expression] = []
        for element in elements:
            leaf = self.leaves.get(element.rule, element) if isinstance(element, Reference) else element
            flat += self._flat(leaf.elements) if isinstance(leaf, Sequence) else [leaf]
        return flat

    def _in_turn(self, elements: list[Expression]) -> list[str]:
        for index, element in enumerate(elements[:-1]):
            match element:
                case Repetition(Character(ranges), 0 | 1, None):
                    before = [self.written(each) for each in elements[:index]]
                    repeated, rest = _character(ranges), " ".join(self._in_turn(elements[index + 1 :]))
                    tail = self._tails.setdefault((repeated, rest), f"tail{len(self._tails)}")
                    return [*before, *([repeated] * element.least), tail]
        return [self.written(element) for element in elements] or ['""']


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
