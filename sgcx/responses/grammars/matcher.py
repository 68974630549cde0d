"""Is a text, which comes in pieces, in a grammar's language? And up to where could it have been?

The language is the one that is enforced where a decoder can be bound, since both are made of the same expressions. No
library would do: xgrammar is not where a gateway is, and `lark` leaves terminals to `re`, which a client's pattern can
keep busy for ever.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Literal

from sgcx.responses.grammars.automaton import Automaton, OutOfSteps, Situation
from sgcx.responses.grammars.definition import parse_definition
from sgcx.responses.grammars.expressions import UnsupportedGrammar
from sgcx.responses.grammars.network import Network

_KEPT_STEPS = 20_000
"""Patches of all kinds take about 1,500."""

Verdict = Literal["matches", "differs", "unchecked"]
"""`unchecked`: it would have taken too long."""


class Matcher:
    """Reads one text."""

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._at: Situation | None = None
        """None: unchecked."""
        with suppress(OutOfSteps):
            self._at = automaton.start()
        self.read = 0
        """Characters that a text of the language can begin with. Those behind them are not looked at."""

    def feed(self, text: str) -> None:
        if self._at is None or self._at.dead:
            return
        at = self._at
        try:
            for number, character in enumerate(text):
                at = at.after.get(character) or self._automaton.advance(at, character)
                if at.dead:
                    self.read += number
                    break
            else:
                self.read += len(text)
        except OutOfSteps:
            self._at = None
        else:
            self._at = at

    @property
    def verdict(self) -> Verdict:
        """On what was fed."""
        if self._at is None:
            return "unchecked"
        return "matches" if self._at.complete else "differs"

    @property
    def stuck(self) -> bool:
        """Whatever follows, the text differs."""
        return self._at is not None and self._at.dead

    def ahead(self, text: str) -> Matcher:
        """Another one, which has read `text` too."""
        ahead = Matcher(self._automaton)
        ahead._at, ahead.read = self._at, self.read
        ahead.feed(text)
        return ahead


def matcher_of(definition: str, syntax: str) -> Matcher | None:
    """For one text. None: the grammar is outside the subset, or too large."""
    language = _language(definition, syntax)
    return None if language is None else language.matcher()


class _Language:
    """Texts share what was worked out for those before them, until that becomes too much to keep."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._automaton = Automaton(network)

    def matcher(self) -> Matcher:
        if self._automaton.steps > _KEPT_STEPS:
            self._automaton = Automaton(self._network)
        return Matcher(self._automaton)


@lru_cache(maxsize=8)
def _language(definition: str, syntax: str) -> _Language | None:
    try:
        return _Language(Network.of(parse_definition(definition, syntax)))
    except UnsupportedGrammar:
        return None
