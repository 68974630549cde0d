"""Output items while they are open: opened → delta* → closed. Each keeps one id for life.

`snapshot` is the item as the API shows it; what was streamed, what the terminal event lists and what a
client replays are the same object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sgcx.responses import events
from sgcx.responses.deltas import TokenLogprob
from sgcx.responses.events import Event
from sgcx.responses.seal import Seal
from sgcx.responses.wire import JsonObject

ItemStatus = Literal["in_progress", "completed", "incomplete"]
Phase = Literal["commentary", "final_answer"]


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
    phase: Phase | None = None
    """Known when something follows, or nothing does; the text does not wait for that."""
    _pieces: list[str] = field(default_factory=list)
    _logprobs: list[TokenLogprob] = field(default_factory=list)

    def snapshot(self, status: ItemStatus) -> JsonObject:
        content = [] if status == "in_progress" else [self._part()]
        phase = {"phase": self.phase} if self.phase else {}
        return {"type": "message", "id": self.id, "role": "assistant", "status": status, "content": content, **phase}

    def opened(self, output_index: int) -> list[Event]:
        return [events.part_added(self.id, output_index, self._part())]

    def append(self, text: str, output_index: int, logprobs: Sequence[TokenLogprob] = ()) -> list[Event]:
        self._pieces.append(text)
        if logprobs:
            self._logprobs.extend(logprobs)
        return [events.text_delta(self.id, output_index, text, logprobs)]

    def closed(self, output_index: int) -> list[Event]:
        return [
            events.text_done(self.id, output_index, "".join(self._pieces), self._logprobs),
            events.part_done(self.id, output_index, self._part()),
        ]

    def _part(self) -> JsonObject:
        return events.output_text("".join(self._pieces), self._logprobs)


@dataclass(slots=True)
class ReasoningItem:
    """The model's raw thinking, as `reasoning_text` content: clients send that back, so nothing has to be kept.

    `seal`: the item carries it encrypted as well, for clients that send back nothing else. `live`: it is streamed.
    """

    id: str
    seal: Seal | None = None
    live: bool = True
    _pieces: list[str] = field(default_factory=list)

    def snapshot(self, status: ItemStatus) -> JsonObject:
        begun = {"type": "reasoning", "id": self.id, "status": status}
        if status == "in_progress":
            return {**begun, **self._shown([])}
        sealed = {} if self.seal is None else {"encrypted_content": self.seal.seal(self._text().encode(), "reasoning")}
        return {**begun, **self._shown([self._part()]), **sealed}

    def opened(self, output_index: int) -> list[Event]:
        return [events.part_added(self.id, output_index, self._part())]

    def append(self, text: str, output_index: int) -> list[Event]:
        self._pieces.append(text)
        return [events.reasoning_delta(self.id, output_index, text)] if self.live else []

    def closed(self, output_index: int) -> list[Event]:
        done = [events.reasoning_done(self.id, output_index, self._text())] if self.live else []
        return [*done, events.part_done(self.id, output_index, self._part())]

    def _shown(self, parts: list[JsonObject]) -> JsonObject:
        return {"summary": [], "content": parts}

    def _part(self) -> JsonObject:
        return {"type": "reasoning_text", "text": self._text()}

    def _text(self) -> str:
        return "".join(self._pieces)


@dataclass(slots=True)
class SummarizedReasoningItem(ReasoningItem):
    """The same text as a summary, for clients that ask for one.

    Nobody here could write a shorter one. It takes the place of the content, so that nothing is sent, shown and
    replayed twice.
    """

    def opened(self, output_index: int) -> list[Event]:
        return [events.summary_part_added(self.id, output_index, self._part())]

    def append(self, text: str, output_index: int) -> list[Event]:
        self._pieces.append(text)
        return [events.summary_delta(self.id, output_index, text)]

    def closed(self, output_index: int) -> list[Event]:
        return [
            events.summary_done(self.id, output_index, self._text()),
            events.summary_part_done(self.id, output_index, self._part()),
        ]

    def _shown(self, parts: list[JsonObject]) -> JsonObject:
        return {"summary": parts, "content": []}

    def _part(self) -> JsonObject:
        return {"type": "summary_text", "text": self._text()}
