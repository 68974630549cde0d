"""DeepSeek-R1: how a conversation is written for it, and how its raw text is read.

Raw text, behind the prompt's `<think>`: `reasoning</think>content<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function
<｜tool▁sep｜>NAME\\n```json\\n{…}\\n```<｜tool▁call▁end｜>…<｜tool▁calls▁end｜>`. The model also leaves out a fence or
the section around its calls, calls while it still thinks, or writes calls as V3.1 does, `NAME<｜tool▁sep｜>{…}`:
all of that is read. Fences are only looked for at the two ends of the arguments, never in text.

History: one system message at the very start, since that is where the format has a place for it. Instructions
that come later stay where they are, as user messages: hoisted, they would change the prompt from its first
token and empty the prefix cache. The published chat template shows no tool to the model, so ours takes its
place (`chat_template_path`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Literal, TypeGuard, assert_never

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
from sgcx.responses.items import InputItem, Message, Reasoning, ToolCall, ToolOutput
from sgcx.responses.wire import JsonObject

THINK_BEGIN = "<think>"
THINK_END = "</think>"
CALLS_BEGIN = "<｜tool▁calls▁begin｜>"
CALLS_END = "<｜tool▁calls▁end｜>"
CALL_BEGIN = "<｜tool▁call▁begin｜>"
CALL_END = "<｜tool▁call▁end｜>"
SEPARATOR = "<｜tool▁sep｜>"
TURN_END = "<｜end▁of▁sentence｜>"

_State = Literal["start", "reasoning", "content", "calls", "call", "arguments"]
_MARKERS: dict[_State, tuple[str, ...]] = {
    "start": (THINK_BEGIN, CALLS_BEGIN, CALL_BEGIN),
    "reasoning": (THINK_END, CALLS_BEGIN, CALL_BEGIN),
    "content": (CALLS_BEGIN, CALL_BEGIN, CALLS_END),
    "calls": (CALLS_BEGIN, CALL_BEGIN, CALLS_END),
    "call": (SEPARATOR, CALL_END),
    "arguments": (CALL_END,),
}
_PLAIN: tuple[_State, ...] = ("reasoning", "content")
"""Here nearly every piece is what it looks like, and goes out as it came."""

_NAME = r"\s*+([^\s`{<]*+)\s*+"
_OPENING = re.compile(_NAME + r"(?:```[A-Za-z]*+[^\S\n]*+(?:\n|(?=\S))|(?=[^\s`])|(?=`{1,2}[^`]))")
"""Name and opening fence, where the next character shows that both are whole."""
_CUT_OPENING = re.compile(_NAME + r"(?:```[A-Za-z]*+\s*+)?")
_CLOSING_FENCE = re.compile(r"\n?[^\S\n]*```\s*\Z")


@dataclass(frozen=True, slots=True)
class DeepSeekR1:
    name: str = "deepseek_r1"

    def messages(self, items: Sequence[InputItem], *, images: bool) -> list[JsonObject]:  # noqa: ARG002  (reads text only)
        leading = list(takewhile(_is_instruction, items))
        chat = ChatMessages()
        if leading:
            texts = [plain_text(item.content) for item in leading if isinstance(item, Message)]
            chat.add_message({"role": "system", "content": "\n\n".join(text for text in texts if text)})
        for item in paired(items[len(leading) :]):
            _add(chat, item)
        return chat.close()

    def template_arguments(self, *, thinking: bool) -> JsonObject:
        # The model card drops the reasoning of finished turns. Each new user message would then change the prompt
        # from the turn before on, and the prefix cache ends there.
        return {"thinking": thinking, "preserve_thinking": True}

    def structural_tag(self, constraint: Constraint) -> JsonObject:
        return structural_tag(constraint, _CALL_MARKUP)

    @property
    def call_markers(self) -> tuple[str, ...]:
        return (CALLS_BEGIN, CALL_BEGIN)

    def reader(self, *, prompt_tail: str) -> Reader:
        return TurnReader(DeepSeekReader(reasoning=prompt_tail.rstrip().endswith(THINK_BEGIN)), TURN_END)


def chat_template_path() -> Path:
    return Path(__file__).with_name("deepseek_r1.jinja")


# reading


@dataclass(slots=True)
class DeepSeekReader:
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
        while (step := self._step()) is not None:
            deltas += step
        ready = self._ready()
        deltas += self._text(self._buffer[:ready])
        self._buffer = self._buffer[ready:]
        return deltas

    def finish(self) -> list[EngineDelta]:
        rest, self._buffer = self._buffer, ""
        if self._state == "call":  # a call that got no further than its name: the stream must know of it
            slot, _, after = rest.partition(SEPARATOR)
            return [ToolCallStarted(_called_name(_CUT_OPENING.match(after), slot))]
        return self._text(rest)

    def _step(self) -> list[EngineDelta] | None:
        """What the buffer decides next, or None until more comes."""
        if self._state == "call":
            return self._open_arguments()
        found = find_first(self._buffer, self._markers())
        if self._state in ("start", "calls") and self._buffer[: self._decided() if found is None else found[0]].strip():
            self._state = "content"
            return []
        if found is None:
            return None
        at, marker = found
        before, self._buffer = self._buffer[:at], self._buffer[at + len(marker) :]
        return self._pass(before, marker)

    def _markers(self) -> tuple[str, ...]:
        markers = _MARKERS[self._state]
        return (*markers, THINK_END) if self._thought_cut and self._state in ("content", "calls") else markers

    def _decided(self) -> int:
        """How much of the buffer is no marker, whatever comes next."""
        return len(self._buffer) - held_back(self._buffer, self._markers())

    def _ready(self) -> int:
        """How much of the buffer can go out as what it is now."""
        match self._state:
            case "start" | "calls" | "call":  # white space matters only if text follows; a name is read whole
                return 0
            case "arguments":  # what looks like a closing fence is one if the call ends behind it
                return len(self._buffer[: self._decided()].rstrip().rstrip("`").rstrip())
            case "reasoning" | "content":
                return self._decided()
        assert_never(self._state)

    def _open_arguments(self) -> list[EngineDelta] | None:
        end = self._buffer.find(CALL_END)
        known = self._buffer[: self._decided() if end < 0 else end]
        slot, separator, after = known.partition(SEPARATOR)
        if end < 0 and not separator:
            return None
        if not separator:
            slot, after = "", known
        opening = _OPENING.match(after)
        if opening is None and end >= 0:
            opening = _CUT_OPENING.match(after)
        if opening is None:
            return None
        self._buffer = self._buffer[len(known) - len(after) + opening.end() :]
        self._state = "arguments"
        return [ToolCallStarted(_called_name(opening, slot))]

    def _pass(self, before: str, marker: str) -> list[EngineDelta]:
        """Text up to a marker, and what the marker changes."""
        if marker == CALL_END:
            deltas = self._text(_CLOSING_FENCE.sub("", before))
            self._state = "calls"
            return [*deltas, ToolCallFinished()]
        deltas = self._text(before)
        if marker == THINK_BEGIN:
            self._state = "reasoning"
            return []
        if marker == THINK_END:
            self._state, self._thought_cut = ("content" if self._state == "reasoning" else self._state), False
        elif marker in (CALLS_BEGIN, CALL_BEGIN):
            self._thought_cut = self._thought_cut or self._state == "reasoning"
            self._state = "calls" if marker == CALLS_BEGIN else "call"
        return deltas  # the end of a section changes nothing: text may follow a call at any time

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
            case "calls":
                return []  # white space around calls
            case "call":
                raise AssertionError("a name is read whole")
        assert_never(self._state)


def _called_name(opening: re.Match[str] | None, slot: str) -> str:
    """R1 writes the tool's kind before the separator and its name behind; V3.1 writes the name before."""
    return (opening[1] if opening else "") or slot.strip()


# constraining


def _constrained_call(name: str, arguments: JsonObject) -> JsonObject:
    begin = f"{CALL_BEGIN}function{SEPARATOR}{name}\n"
    if arguments["type"] == "any_text":  # the fences are part of the text: the model leaves them out at times
        return {"type": "tag", "begin": begin, "content": arguments, "end": CALL_END}
    return {"type": "tag", "begin": f"{begin}```json\n", "content": arguments, "end": f"\n```{CALL_END}"}


_CALL_MARKUP = CallMarkup(
    section_begin=CALLS_BEGIN, section_end=CALLS_END, separator="\n", call_begin=CALL_BEGIN, call=_constrained_call
)


# writing


def _is_instruction(item: InputItem) -> TypeGuard[Message]:
    return isinstance(item, Message) and item.role in ("system", "developer")


def _add(chat: ChatMessages, item: InputItem) -> None:
    match item:
        case Message(role="assistant", content=content):
            chat.add_text(plain_text(content))
        case Message(role="user", content=content):
            chat.add_message({"role": "user", "content": plain_text(content)})
        case Message(role=role, content=content):
            # The label is all that tells the model that these words are not the user's.
            chat.add_message({"role": "user", "content": f"[{role}]\n{plain_text(content)}"})
        case Reasoning(text):
            chat.add_reasoning(text)
        case ToolCall(number):
            chat.add_call(_call_id(number), item)
        case ToolOutput(number, output):
            chat.add_message({"role": "tool", "tool_call_id": _call_id(number), "content": plain_text(output)})
        case _:
            assert_never(item)


def _call_id(number: str) -> str:
    """The format has none; engines behind chat completions want one that is the same at call and output."""
    return f"call_{number}"
