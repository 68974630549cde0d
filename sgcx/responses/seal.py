"""Content that clients carry for us and cannot read: reasoning, compacted history."""

from __future__ import annotations

from typing import Protocol


class Seal(Protocol):
    def seal(self, plaintext: bytes) -> str:
        """An opaque blob that only this installation opens, and only for the same model. At most 32 MiB of plaintext,
        else ValueError."""
        ...

    def open(self, blob: str) -> bytes | None:
        """What was sealed. None for every other text: garbled, cut, another installation's or another model's."""
        ...
