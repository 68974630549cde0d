"""Output items while they are open: opened → delta* → closed. Each keeps one id for life. Calls: `output_calls`.

`snapshot` is the item as the API shows it; what was streamed, what the terminal event lists and what a
client replays are the same object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from sgcx.responses import events
from sgcx.responses.events import Event
from sgcx.responses.wire import JsonObject

ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputItem(Protocol):
    @property
    def id(self) -> str: ...

    def snapshot(self, status: ItemStatus) -> JsonObject: ...

    def opened(self, output_index: int) -> list[Event]: ...

    def append(self, text: str, output_index: int) -> list[Event]: ...

    def closed(self, output_index: int) -> list[Event]: ...


@dataclass(slots=True)
class MessageItem:
    id: str
    _pieces: list[str] = field(default_factory=list)

    def snapshot(self, status: ItemStatus) -> JsonObject:
        content = [] if status == "in_progress" else [_output_text("".join(self._pieces))]
        return {"type": "message", "id": self.id, "role": "assistant", "status": status, "content": content}

    def opened(self, output_index: int) -> list[Event]:
        return [events.part_added(self.id, output_index, _output_text(""))]

    def append(self, text: str, output_index: int) -> list[Event]:
        self._pieces.append(text)
        return [events.text_delta(self.id, output_index, text)]

    def closed(self, output_index: int) -> list[Event]:
        text = "".join(self._pieces)
        return [
            events.text_done(self.id, output_index, text),
            events.part_done(self.id, output_index, _output_text(text)),
        ]


def _output_text(text: str) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


@dataclass(slots=True)
class ReasoningItem:
    """The model's raw thinking, as `reasoning_text` content: clients send that back, so nothing has to be kept."""

    id: str
    _pieces: list[str] = field(default_factory=list)

    def snapshot(self, status: ItemStatus) -> JsonObject:
        content = [] if status == "in_progress" else [_reasoning_text("".join(self._pieces))]
        return {
            "type": "reasoning",
            "id": self.id,
            "summary": [],
            "content": content,
            "encrypted_content": None,
            "status": status,
        }

    def opened(self, output_index: int) -> list[Event]:
        return [events.part_added(self.id, output_index, _reasoning_text(""))]

    def append(self, text: str, output_index: int) -> list[Event]:
        self._pieces.append(text)
        return [events.reasoning_delta(self.id, output_index, text)]

    def closed(self, output_index: int) -> list[Event]:
        text = "".join(self._pieces)
        return [
            events.reasoning_done(self.id, output_index, text),
            events.part_done(self.id, output_index, _reasoning_text(text)),
        ]


def _reasoning_text(text: str) -> JsonObject:
    return {"type": "reasoning_text", "text": text}
