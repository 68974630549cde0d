"""Kimi K2.x: how a conversation is written for it, and how its raw text is read.

Raw text: `reasoning</think>content<|tool_calls_section_begin|><|tool_call_begin|>functions.NAME:INDEX
<|tool_call_argument_begin|>{…}<|tool_call_end|>…<|tool_calls_section_end|>`. The model sometimes opens a tool
section, or a bare call, while it still thinks; that ends the reasoning.

History: the model expects its own ids back, `functions.NAME:INDEX` with INDEX counting all calls of the
conversation. With other ids it tends to end its turn without acting (MoonshotAI/K2 tool-use guidance), so ids
are canonical in the prompt whatever the client calls them. Reasoning, content and arguments are replayed to
the last character, so that a turn renders to the text that the model generated and the prefix cache holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, assert_never

from sgcx.dialects.markers import MARKER_START, find_first, held_back
from sgcx.dialects.pairing import paired
from sgcx.dialects.structural_tag import CallMarkup, structural_tag
from sgcx.dialects.turn_end import TurnReader
from sgcx.dialects.turns import ChatMessages, plain_text
from sgcx.responses.constraint import Constraint
from sgcx.responses.deltas import (
    EngineDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallFinished,
    ToolCallStarted,
)
from sgcx.responses.dialect import Reader
from sgcx.responses.items import ImagePart, InputItem, Message, Part, Reasoning, TextPart, ToolCall, ToolOutput
from sgcx.responses.wire import JsonObject, JsonValue

THINK_BEGIN = "<think>"
THINK_END = "</think>"
SECTION_BEGIN = "<|tool_calls_section_begin|>"
SECTION_END = "<|tool_calls_section_end|>"
CALL_BEGIN = "<|tool_call_begin|>"
ARGUMENTS_BEGIN = "<|tool_call_argument_begin|>"
CALL_END = "<|tool_call_end|>"
TURN_END = "<|im_end|>"

_CALL_PREFIX = "functions."

_State = Literal["start", "reasoning", "content", "section", "id", "arguments"]
_MARKERS: dict[_State, tuple[str, ...]] = {
    "start": (THINK_BEGIN, SECTION_BEGIN, SECTION_END, CALL_BEGIN),
    "reasoning": (THINK_END, SECTION_BEGIN, CALL_BEGIN),
    "content": (SECTION_BEGIN, SECTION_END, CALL_BEGIN),
    "section": (CALL_BEGIN, SECTION_END),
    "id": (ARGUMENTS_BEGIN, CALL_END),
    "arguments": (CALL_END,),
}
_PLAIN: tuple[_State, ...] = ("reasoning", "content", "arguments")
"""Here nearly every piece is what it looks like, and goes out as it came."""
_UNDECIDED_WHILE_BLANK: tuple[_State, ...] = ("start", "section")
"""Text that is not white space makes these states `content`: an answer that may well speak of `<think>`."""


@dataclass(frozen=True, slots=True)
class KimiK2:
    name: str = "kimi_k2"

    def messages(self, items: Sequence[InputItem], *, images: bool) -> list[JsonObject]:
        writer = _Writer(images=images)
        for item in paired(items):
            writer.add(item)
        return writer.close()

    def template_arguments(self, *, thinking: bool) -> JsonObject:
        # Without `preserve_thinking` each new user turn drops the reasoning of the turns before: the prompt
        # changes there, and the prefix cache ends there.
        return {"thinking": thinking, "preserve_thinking": True}

    def structural_tag(self, constraint: Constraint) -> JsonObject:
        return structural_tag(constraint, _CALL_MARKUP)

    @property
    def call_markers(self) -> tuple[str, ...]:
        return (SECTION_BEGIN, CALL_BEGIN)

    def reader(self, *, prompt_tail: str) -> Reader:
        """K2.5 and later prompts end with `<think>` (or `<think></think>`); K2 Thinking writes it itself."""
        return TurnReader(KimiReader(reasoning=prompt_tail.rstrip().endswith(THINK_BEGIN)), TURN_END)


# reading


@dataclass(slots=True)
class KimiReader:
    """`reasoning`: the prompt has opened the reasoning already."""

    reasoning: bool
    _state: _State = field(init=False)
    _buffer: str = field(default="", init=False)
    _thought_cut: bool = field(default=False, init=False)
    """A call came before the reasoning was closed, so its `</think>` may still come."""

    def __post_init__(self) -> None:
        self._state = "reasoning" if self.reasoning else "start"

    def feed(self, text: str) -> list[EngineDelta]:
        if not self._buffer and self._state in _PLAIN and MARKER_START not in text:
            return self._text(text)
        self._buffer += text
        deltas: list[EngineDelta] = []
        while (found := self._next_marker()) is not None:
            at, marker = found
            before, self._buffer = self._buffer[:at], self._buffer[at + len(marker) :]
            deltas += self._step(before, marker)
        # An id is read whole.
        ready = 0 if self._state == "id" or self._state in _UNDECIDED_WHILE_BLANK else self._decided()
        deltas += self._text(self._buffer[:ready])
        self._buffer = self._buffer[ready:]
        return deltas

    def finish(self) -> list[EngineDelta]:
        rest, self._buffer = self._buffer, ""
        if self._state == "id":  # a call that got no further than its id: the stream must know of it
            return [ToolCallStarted(tool_name(rest))]
        return self._text(rest)

    def _next_marker(self) -> tuple[int, str] | None:
        found = find_first(self._buffer, self._markers())
        undecided = self._buffer[: self._decided() if found is None else found[0]]
        if self._state in _UNDECIDED_WHILE_BLANK and undecided.strip():
            self._state = "content"
            return self._next_marker()
        return found

    def _markers(self) -> tuple[str, ...]:
        markers = _MARKERS[self._state]
        return (*markers, THINK_END) if self._thought_cut and self._state in ("content", "section") else markers

    def _decided(self) -> int:
        """How much of the buffer is no marker, whatever comes next."""
        return len(self._buffer) - held_back(self._buffer, self._markers())

    def _step(self, before: str, marker: str) -> list[EngineDelta]:
        """Text up to a marker, and what the marker changes."""
        if self._state == "id":
            self._state = "arguments"
            started: list[EngineDelta] = [ToolCallStarted(tool_name(before))]
            return started + (self._end_call() if marker == CALL_END else [])
        if marker == THINK_BEGIN:
            self._state = "reasoning"  # what stood before was white space
            return []
        deltas = self._text(before)
        match marker:
            case "</think>":
                self._thought_cut = False
                self._state = "content" if self._state == "reasoning" else self._state
            case "<|tool_calls_section_begin|>" | "<|tool_call_begin|>":
                self._thought_cut = self._thought_cut or self._state == "reasoning"
                self._state = "section" if marker == SECTION_BEGIN else "id"
            case "<|tool_calls_section_end|>":
                self._state = "content"
            case _:
                deltas += self._end_call()
        return deltas

    def _end_call(self) -> list[EngineDelta]:
        self._state = "section"
        return [ToolCallFinished()]

    def _text(self, text: str) -> list[EngineDelta]:
        if not text:
            return []
        match self._state:
            case "reasoning":
                return [ReasoningDelta(text)]
            case "start" | "content":
                return [TextDelta(text)]
            case "arguments":
                return [ToolCallArguments(text)]
            case "section":
                return [TextDelta(text)] if text.strip() else []  # white space stands between calls
            case "id":
                raise AssertionError("an id is read whole")
        assert_never(self._state)


def tool_name(call_id: str) -> str:
    """`functions.NAME:INDEX` → NAME. An id of another shape is taken for the name itself."""
    name = call_id.strip().removeprefix(_CALL_PREFIX)
    head, colon, index = name.rpartition(":")
    return head if colon and index.isdigit() else name


# constraining


def _constrained_call(name: str, arguments: JsonObject) -> JsonObject:
    index: JsonObject = {"type": "regex", "pattern": "[0-9]{1,6}"}
    arguments_begin: JsonObject = {"type": "const_string", "value": ARGUMENTS_BEGIN}
    content: JsonObject = {"type": "sequence", "elements": [index, arguments_begin, arguments]}
    return {"type": "tag", "begin": f"{CALL_BEGIN}{_CALL_PREFIX}{name}:", "content": content, "end": CALL_END}


_CALL_MARKUP = CallMarkup(
    section_begin=SECTION_BEGIN, section_end=SECTION_END, separator="", call_begin=CALL_BEGIN, call=_constrained_call
)


# writing


@dataclass(slots=True)
class _Writer:
    images: bool
    _chat: ChatMessages = field(default_factory=ChatMessages)
    _canonical_ids: dict[str, str] = field(default_factory=dict)

    def add(self, item: InputItem) -> None:
        match item:
            case Message(role="assistant", content=content):
                self._chat.add_text(plain_text(content))
            case Message(role=role, content=content):
                shown = "system" if role == "developer" else role
                self._chat.add_message({"role": shown, "content": self._content(content)})
            case Reasoning(text):
                self._chat.add_reasoning(text)
            case ToolCall(number, name):
                self._canonical_ids[number] = f"{_CALL_PREFIX}{name}:{number}"
                self._chat.add_call(self._canonical_ids[number], item)
            case ToolOutput(number, output):
                call_id = self._canonical_ids[number]
                self._chat.add_message({"role": "tool", "tool_call_id": call_id, "content": self._content(output)})
            case _:
                assert_never(item)

    def close(self) -> list[JsonObject]:
        return self._chat.close()

    def _content(self, parts: Sequence[Part]) -> JsonValue:
        """One string where there is only text: templates print that verbatim."""
        if not self.images or not any(isinstance(part, ImagePart) for part in parts):
            return plain_text(parts)
        return [_chat_part(part) for part in parts]


def _chat_part(part: Part) -> JsonObject:
    match part:
        case TextPart(text):
            return {"type": "text", "text": text}
        case ImagePart(url, detail):
            return {"type": "image_url", "image_url": {"url": url, "detail": detail}}
    assert_never(part)
