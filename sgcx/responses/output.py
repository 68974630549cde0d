"""Output items while they are open: opened → delta* → closed. Each keeps one id for life.

`snapshot` is the item as the API shows it; what was streamed, what the terminal event lists and what a
client replays are the same object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from sgcx.responses import events
from sgcx.responses.arguments import finish_arguments, finish_custom_input
from sgcx.responses.events import Event
from sgcx.responses.tools import CustomTool, FunctionTool
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


@dataclass(slots=True)
class FunctionCallItem:
    """Arguments go out in one piece when the call is closed: only then can the schema mend them."""

    id: str
    call_id: str
    name: str
    tool: FunctionTool | None
    """None: the model called a tool that was not declared; the client tells it so."""
    _pieces: list[str] = field(default_factory=list)

    def snapshot(self, status: ItemStatus) -> JsonObject:
        namespace = {"namespace": self.tool.namespace} if self.tool and self.tool.namespace else {}
        return {
            "type": "function_call",
            "id": self.id,
            "call_id": self.call_id,
            "name": self.name,
            **namespace,
            "arguments": "" if status == "in_progress" else self._arguments(),
            "status": status,
        }

    def opened(self, output_index: int) -> list[Event]:
        return []

    def append(self, text: str, output_index: int) -> list[Event]:
        self._pieces.append(text)
        return []

    def closed(self, output_index: int) -> list[Event]:
        arguments = self._arguments()
        return [
            events.arguments_delta(self.id, output_index, arguments),
            events.arguments_done(self.id, output_index, self.name, arguments),
        ]

    def _arguments(self) -> str:
        return finish_arguments("".join(self._pieces), self.tool)


@dataclass(slots=True)
class CustomToolCallItem:
    id: str
    call_id: str
    tool: CustomTool
    _pieces: list[str] = field(default_factory=list)

    def snapshot(self, status: ItemStatus) -> JsonObject:
        namespace = {"namespace": self.tool.namespace} if self.tool.namespace else {}
        return {
            "type": "custom_tool_call",
            "id": self.id,
            "call_id": self.call_id,
            "name": self.tool.name,
            **namespace,
            "input": "" if status == "in_progress" else self._input(),
            "status": status,
        }

    def opened(self, output_index: int) -> list[Event]:
        return []

    def append(self, text: str, output_index: int) -> list[Event]:
        self._pieces.append(text)
        return []

    def closed(self, output_index: int) -> list[Event]:
        text = self._input()
        return [
            events.custom_input_delta(self.id, output_index, text),
            events.custom_input_done(self.id, output_index, text),
        ]

    def _input(self) -> str:
        return finish_custom_input("".join(self._pieces), self.tool)
