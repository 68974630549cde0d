"""The chunks of a chat completion → engine deltas. No I/O.

A chat stream says less than raw text does: a call has an index but no end, and calls may interleave. So the call
that comes first is passed on as it arrives, everything after it is held until the engine says why it stopped, and
only `stop` or `tool_calls` closes calls: what a token limit cut is never announced as done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeAlias

from sgcx.engines.refusals import upstream_nonsense
from sgcx.responses.deltas import (
    EngineDelta,
    Failed,
    Finished,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallArguments,
    ToolCallFinished,
    ToolCallStarted,
    Usage,
)
from sgcx.responses.dialect import Reader
from sgcx.responses.generation.logprob_alignment import LogprobAlignment

Object: TypeAlias = Mapping[str, object]

_STOP = ("stop", "tool_calls", "function_call")
_NOTHING: Object = {}


@dataclass(slots=True)
class _Call:
    index: int
    call_id: str
    name: str = ""
    started: bool = False
    arguments: list[str] = field(default_factory=list)
    """What was not handed on yet."""

    def take(self) -> list[EngineDelta]:
        """What can be handed on: nothing before the name is known."""
        if not self.name:
            return []
        deltas: list[EngineDelta] = [] if self.started else [ToolCallStarted(self.name)]
        if self.arguments:
            deltas.append(ToolCallArguments("".join(self.arguments)))
        self.started, self.arguments = True, []
        return deltas


@dataclass(slots=True)
class ChatReader:
    """`text_reader`: the engine's content is raw text with the model's markers, and this reads it."""

    text_reader: Reader | None = None
    alignment: LogprobAlignment | None = None
    """For requests that want logprobs."""
    _usage: Usage = field(default_factory=Usage, init=False)
    _reason: str | None = field(default=None, init=False)
    _held: list[_Call | ReasoningDelta | TextDelta] = field(default_factory=list, init=False)
    """Everything from the first call on, in order."""

    def feed(self, chunk: Object) -> list[EngineDelta]:
        """Raises `EngineError` where the chunk makes no sense."""
        if usage := chunk.get("usage"):
            self._usage = _parse_usage(_object(usage))
        choices = chunk.get("choices")
        if not choices or not isinstance(choices, list) or self._reason is not None:
            return []
        choice = _object(choices[0])
        delta = _object(choice.get("delta"))
        deltas = self._reasoning(_text(delta.get("reasoning_content")) or _text(delta.get("reasoning")))
        deltas += self._content(_text(delta.get("content")))
        calls = delta.get("tool_calls")
        if calls and isinstance(calls, list):
            for part in calls:
                deltas += self._call(_object(part))
        if reason := _text(choice.get("finish_reason")):
            self._reason = reason
            deltas += self._close()
        if self.alignment is not None:
            return self.alignment.attach(deltas, _logprobs(choice))
        return deltas

    def end(self) -> Finished | Failed:
        """The stream is over."""
        match self._reason:
            case "stop" | "tool_calls" | "function_call":
                return Finished("stop", self._usage)
            case "length":
                ended = self.text_reader is not None and self.text_reader.ended
                return Finished("stop" if ended else "length", self._usage)
            case None:
                return Failed("server_error", "The upstream engine's answer was cut off")
            case "content_filter":
                return Failed("server_error", "The upstream engine's content filter stopped the answer")
            case other:
                return Failed("server_error", f"The upstream engine ended the answer with {other!r}")

    @property
    def cut(self) -> bool:
        """The engine has not said why it stopped."""
        return self._reason is None

    def _reasoning(self, text: str) -> list[EngineDelta]:
        return self._hold_or_pass(ReasoningDelta(text)) if text else []

    def _content(self, text: str) -> list[EngineDelta]:
        if not text:
            return []
        return self._hold_or_pass(TextDelta(text)) if self.text_reader is None else self.text_reader.feed(text)

    def _hold_or_pass(self, delta: ReasoningDelta | TextDelta) -> list[EngineDelta]:
        """Text would close an open call, so text after a call waits."""
        if not self._held:
            return [delta]
        match self._held[-1], delta:
            case (TextDelta(before), TextDelta(text)) | (ReasoningDelta(before), ReasoningDelta(text)):
                self._held[-1] = type(delta)(before + text)
            case _:
                self._held.append(delta)
        return []

    def _call(self, part: Object) -> list[EngineDelta]:
        function = _object(part.get("function"))
        name = _text(function.get("name"))
        call = self._find_call(part.get("index"), _text(part.get("id")), name)
        call.name = call.name or name
        if arguments := _text(function.get("arguments")):
            call.arguments.append(arguments)
        return call.take() if call is self._held[0] else []

    def _find_call(self, index: object, call_id: str, name: str) -> _Call:
        """The call that a part continues, or a new one.

        Some engines give every call the index 0, or none at all: a new id together with a name is a new call.
        """
        calls = [held for held in self._held if isinstance(held, _Call)]
        if not isinstance(index, int):
            index = calls[-1].index if calls else 0
        same = [call for call in calls if call.index == index]
        if same and not (name and call_id and same[-1].call_id and call_id != same[-1].call_id):
            return same[-1]
        call = _Call(index, call_id)
        self._held.append(call)
        return call

    def _close(self) -> list[EngineDelta]:
        """The engine stopped. Calls that a limit may have cut stay open, for the stream to judge."""
        deltas: list[EngineDelta] = []
        if self.text_reader is not None and self._reason in (*_STOP, "length"):
            deltas += self.text_reader.finish()
        if self._reason in _STOP:
            for held in self._held:
                deltas += _release(held)
        return deltas


def joined(deltas: list[EngineDelta]) -> list[EngineDelta]:
    """Neighbours of one kind as one. What arrived together is sent on together: each write has its cost."""
    if len(deltas) < 2:
        return deltas
    result: list[EngineDelta] = []
    for kind, group in groupby(deltas, type):
        if kind is TextDelta:
            texts = [delta for delta in group if isinstance(delta, TextDelta)]
            logprobs = tuple(entry for delta in texts for entry in delta.logprobs)
            result.append(TextDelta("".join(delta.text for delta in texts), logprobs))
        elif kind is ReasoningDelta or kind is ToolCallArguments:
            result.append(kind("".join(delta.text for delta in group if isinstance(delta, kind))))
        else:
            result.extend(group)
    return result


def _release(held: _Call | ReasoningDelta | TextDelta) -> list[EngineDelta]:
    if not isinstance(held, _Call):
        return [held] if held.text.strip() else []  # white space stands between calls
    if not held.name:
        raise upstream_nonsense("it called a tool without saying which")
    return [*held.take(), ToolCallFinished()]


def _parse_usage(usage: Object) -> Usage:
    prompt = _object(usage.get("prompt_tokens_details"))
    completion = _object(usage.get("completion_tokens_details"))
    return Usage(
        input_tokens=_count(usage.get("prompt_tokens")),
        cached_tokens=_count(prompt.get("cached_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens")) or _count(usage.get("reasoning_tokens")),
    )


def _logprobs(choice: Object) -> list[TokenLogprob]:
    entries = _objects(_object(choice.get("logprobs")), "content")
    return [TokenLogprob(*_token(entry), tuple(map(_token, _objects(entry, "top_logprobs")))) for entry in entries]


def _token(entry: Object) -> tuple[str, float]:
    return _text(entry.get("token")), _number(entry.get("logprob"))


def _objects(parent: Object, name: str) -> list[Object]:
    value = parent.get(name)
    return [_object(element) for element in value] if isinstance(value, list) else []


def _object(value: object) -> Object:
    return value if isinstance(value, dict) else _NOTHING


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
