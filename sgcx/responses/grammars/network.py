"""A grammar as a network of states: a small automaton for each rule, which calls those of other rules.

From a state lead edges over one character, skips over nothing, and calls. A call goes on in its return state once the
rule that it names has read its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

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

_LARGEST = 20_000
"""States and expressions: counted repetitions multiply. So many take some hundredths of a second to lay out."""

State = int
Rule = int


@dataclass(slots=True)
class Network:
    """`edges`, `skips` and `calls` have an entry for each state, `starts` one for each rule. Rule 0 derives a text."""

    edges: list[list[tuple[Ranges, State]]] = field(default_factory=list)
    skips: list[list[State]] = field(default_factory=list)
    calls: list[list[tuple[Rule, State]]] = field(default_factory=list)
    starts: list[State] = field(default_factory=list)
    ends: dict[State, Rule] = field(default_factory=dict)
    nullable: set[Rule] = field(default_factory=set)
    """The rules that derive the empty text."""
    boundaries: list[int] = field(default_factory=list)
    """Code points, sorted: from one to the next, all characters lead along the same edges."""

    @classmethod
    def of(cls, grammar: Grammar) -> Network:
        """Raises `UnsupportedGrammar` where it would become too large."""
        network = _Layout(grammar.rules, grammar.start).network
        network.nullable = _nullable(network)
        network.boundaries = _boundaries(network)
        return network


class _Layout:
    def __init__(self, rules: Mapping[str, Expression], start: str) -> None:
        self.network = Network()
        self._size = 0
        names = [start, *(name for name in rules if name != start)]
        self._rules = {name: rule for rule, name in enumerate(names)}
        for rule, name in enumerate(names):
            state = self._state()
            self.network.starts.append(state)
            self.network.ends[self._lay(rules[name], state)] = rule

    def _lay(self, expression: Expression, at: State) -> State:
        """Where one is, coming from `at`, when `expression` is read."""
        self._grow()
        match expression:
            case Text(text):
                for letter in text:
                    at = self._edge(at, ((ord(letter), ord(letter)),))
                return at
            case Character(ranges):
                return self._edge(at, ranges)
            case Reference(name):
                self.network.calls[at].append((self._rules[name], returned := self._state()))
                return returned
            case Sequence(elements):
                for element in elements:
                    at = self._lay(element, at)
                return at
            case Choice(alternatives):
                return self._choice(alternatives, at)
            case Repetition(element, least, most):
                for _ in range(least):
                    at = self._lay(element, at)
                return self._loop(element, at) if most is None else self._at_most(most - least, element, at)
        assert_never(expression)

    def _choice(self, alternatives: tuple[Expression, ...], at: State) -> State:
        end = self._state()
        for alternative in alternatives:
            self._join(self._lay(alternative, self._skip(at)), end)
        return end

    def _loop(self, element: Expression, at: State) -> State:
        again = self._skip(at)
        self._join(self._lay(element, again), again)
        return again

    def _at_most(self, most: int, element: Expression, at: State) -> State:
        end = self._skip(at)
        for _ in range(most):
            at = self._lay(element, at)
            self._join(at, end)
        return end

    def _edge(self, at: State, ranges: Ranges) -> State:
        self.network.edges[at].append((ranges, reached := self._state()))
        return reached

    def _skip(self, at: State) -> State:
        reached = self._state()
        self._join(at, reached)
        return reached

    def _join(self, at: State, reached: State) -> None:
        self.network.skips[at].append(reached)

    def _state(self) -> State:
        self._grow()
        for leading in (self.network.edges, self.network.skips, self.network.calls):
            leading.append([])
        return len(self.network.edges) - 1

    def _grow(self) -> None:
        self._size += 1
        if self._size > _LARGEST:
            raise UnsupportedGrammar(f"more than {_LARGEST} states")


def _nullable(network: Network) -> set[Rule]:
    """Walks through all rules at once without reading: the rules whose ends are reached. Linear in the network."""
    found: set[Rule] = set()
    returns: dict[Rule, list[State]] = {}
    reached = list(network.starts)
    seen = set(reached)

    def reach(states: list[State]) -> None:
        reached.extend(state for state in states if state not in seen)
        seen.update(states)

    while reached:
        state = reached.pop()
        reach(network.skips[state])
        for rule, returned in network.calls[state]:
            reach([returned]) if rule in found else returns.setdefault(rule, []).append(returned)
        if state in network.ends:
            found.add(network.ends[state])
            reach(returns.pop(network.ends[state], []))
    return found


def _boundaries(network: Network) -> list[int]:
    ranges = [one for edges in network.edges for ranges, _ in edges for one in ranges]
    return sorted({low for low, _ in ranges} | {high + 1 for _, high in ranges})
