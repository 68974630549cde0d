"""The token that ends a turn, where it comes as text: an engine that reaches its limit with it does not leave it out.

Shown to the client it would come back in the history, as a token that cuts the conversation in two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from sgcx.dialects.markers import MARKER_START, held_back
from sgcx.responses.deltas import EngineDelta


class MarkupReader(Protocol):
    """`Reader` without the end of the turn."""

    def feed(self, text: str) -> list[EngineDelta]: ...

    def finish(self) -> list[EngineDelta]: ...


@dataclass(slots=True)
class TurnReader:
    """`reader` for all but `turn_end` at the very end. In front of other text it is text: models write about it."""

    reader: MarkupReader
    turn_end: str
    ended: bool = field(default=False, init=False)
    _held: str = field(default="", init=False)

    def feed(self, text: str) -> list[EngineDelta]:
        if not self._held and MARKER_START not in text:
            return self.reader.feed(text)
        text = self._held + text
        held = len(self.turn_end) if text.endswith(self.turn_end) else held_back(text, (self.turn_end,))
        ready = len(text) - held
        self._held = text[ready:]
        return self.reader.feed(text[:ready])

    def finish(self) -> list[EngineDelta]:
        self.ended = self._held == self.turn_end
        rest = [] if self.ended else self.reader.feed(self._held)
        return rest + self.reader.finish()
