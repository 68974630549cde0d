"""Content that clients carry for us and cannot read: reasoning, compacted history."""

from __future__ import annotations

from typing import Literal, Protocol

Purpose = Literal["reasoning", "compaction"]
"""What a blob was sealed as. It opens as nothing else: clients could pass off thoughts as a conversation otherwise."""


class Seal(Protocol):
    def seal(self, plaintext: bytes, purpose: Purpose) -> str:
        """An opaque blob that only this installation opens, and only for the same model and purpose. At most 32 MiB of
        plaintext, else ValueError."""
        ...

    def open(self, blob: str, purpose: Purpose) -> bytes | None:
        """What was sealed. None for every other text: garbled, cut, of another installation, model or purpose."""
        ...
