"""Items grouped into chat messages: what a model wrote in one turn becomes one assistant message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sgcx.responses.items import Part, TextPart, ToolCall
from sgcx.responses.wire import JsonObject, JsonValue

IMAGE_NOTE = "[image left out: this model reads text only]"


def plain_text(parts: Sequence[Part]) -> str:
    return "".join(part.text if isinstance(part, TextPart) else IMAGE_NOTE for part in parts)


@dataclass(slots=True)
class _Turn:
    """One assistant turn while its items come in: reasoning, then text, then calls."""

    reasoning: list[str] = field(default_factory=list)
    content: list[str] = field(default_factory=list)
    calls: list[JsonObject] = field(default_factory=list)

    def message(self) -> JsonObject:
        message: dict[str, JsonValue] = {"role": "assistant", "content": "".join(self.content)}
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls:
            message["tool_calls"] = self.calls
        return message


@dataclass(slots=True)
class ChatMessages:
    """The conversation so far. An item that cannot follow what its turn holds already starts the next turn."""

    _messages: list[JsonObject] = field(default_factory=list)
    _turn: _Turn | None = None

    def add_message(self, message: JsonObject) -> None:
        """A message that is not the assistant's."""
        self._flush()
        self._messages.append(message)

    def add_reasoning(self, text: str) -> None:
        if self._turn is not None and (self._turn.content or self._turn.calls):
            self._flush()
        self._open().reasoning.append(text)

    def add_text(self, text: str) -> None:
        if self._turn is not None and self._turn.calls:
            self._flush()
        self._open().content.append(text)

    def add_call(self, call_id: str, call: ToolCall) -> None:
        function: JsonObject = {"name": call.name, "arguments": call.arguments}
        self._open().calls.append({"id": call_id, "type": "function", "function": function})

    def close(self) -> list[JsonObject]:
        self._flush()
        return self._messages

    def _open(self) -> _Turn:
        if self._turn is None:
            self._turn = _Turn()
        return self._turn

    def _flush(self) -> None:
        if self._turn is not None:
            self._messages.append(self._turn.message())
            self._turn = None
