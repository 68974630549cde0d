"""What a model family has of its own: how history is written for it, and how its raw text is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sgcx.responses.constraint import Constraint
from sgcx.responses.deltas import EngineDelta
from sgcx.responses.items import InputItem
from sgcx.responses.wire import JsonObject


class Reader(Protocol):
    """Raw model text in any pieces → deltas. The same text in other pieces gives the same items."""

    @property
    def ended(self) -> bool:
        """Known once it is finished: the text held the token that ends a turn, so the model had come to its end."""
        ...

    def feed(self, text: str) -> list[EngineDelta]: ...

    def finish(self) -> list[EngineDelta]:
        """The model's turn is over: whatever was held back is now known to be text."""
        ...


class Dialect(Protocol):
    @property
    def name(self) -> str: ...

    def messages(self, items: Sequence[InputItem], *, images: bool) -> list[JsonObject]:
        """The conversation as chat messages. `images`: the model sees images; otherwise a note stands for each."""
        ...

    def template_arguments(self, *, thinking: bool) -> JsonObject:
        """Extra variables for the chat template."""
        ...

    def structural_tag(self, constraint: Constraint) -> JsonObject:
        """What may follow the reasoning, as an xgrammar structural tag. For a constraint that binds decoding."""
        ...

    @property
    def call_markers(self) -> tuple[str, ...]:
        """The tokens without which no call begins."""
        ...

    def reader(self, *, prompt_tail: str) -> Reader:
        """`prompt_tail`: the last characters of the rendered prompt, which tell what the model continues."""
        ...
