"""One response as a state machine: engine deltas in, Responses events out.

It does no I/O, reads no clock and makes no ids: all three are handed in.

Invariants
- At most one output item is open. Its `added` precedes its deltas, which precede its `done`.
- `output_index` is the number of items closed before; `sequence_number` counts from 0 without gaps.
- Exactly one terminal event ends the stream; its `output` lists the closed items, in order.
- A tool call that the model did not close is never announced as done: a client would execute it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, assert_never

from sgcx.responses import events
from sgcx.responses.deltas import (
    CompactionFinished,
    CompactionStarted,
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
from sgcx.responses.events import Event, ResponseEventType
from sgcx.responses.item_ids import NewId, new_item_id
from sgcx.responses.output.calls import CallItem, InputCheck, call_item
from sgcx.responses.output.compaction import CompactionItem
from sgcx.responses.output.items import (
    ItemStatus,
    MessageItem,
    OutputItem,
    Phase,
    ReasoningItem,
    SummarizedReasoningItem,
)
from sgcx.responses.request import ResponsesRequest
from sgcx.responses.seal import Seal
from sgcx.responses.tools.table import ToolTable
from sgcx.responses.wire import JsonObject, JsonValue

ResponseStatus = Literal["in_progress", "completed", "incomplete", "failed"]


class StreamProtocolError(Exception):
    """A delta that is not legal here: a bug in an engine adapter or in a reader."""


@dataclass(slots=True)
class ResponseStream:
    response_id: str
    model: str
    tools: ToolTable
    echo: JsonObject
    """The request's own fields, repeated in every response object."""
    new_id: NewId
    now: Callable[[], int]
    """Unix time in seconds."""
    limited: bool = False
    """The client set `max_output_tokens`, so running out of tokens is its own limit, not the context's."""
    max_tool_calls: int | None = None
    """What the model does after so many calls is left out."""
    generate: bool = True
    """False: the engine only reads the prompt; what it made of it is left out."""
    summarize: bool = False
    """Reasoning is shown as a summary."""
    live_reasoning: bool = True
    """Raw reasoning is streamed; otherwise it comes whole."""
    seal: Seal | None = None
    """For reasoning that the client wants sealed."""
    state: Literal["idle", "streaming", "closed"] = field(default="idle", init=False)
    status: ResponseStatus = field(default="in_progress", init=False)
    usage: Usage | None = field(default=None, init=False)
    error_code: str | None = field(default=None, init=False)
    """Of a response that failed."""
    heartbeats: int = field(default=0, init=False)
    checks: list[InputCheck] = field(default_factory=list, init=False)
    """Of the calls that were announced as done."""
    _created_at: int = field(default=0, init=False)
    _open: OutputItem | None = field(default=None, init=False)
    _output: list[JsonObject] = field(default_factory=list, init=False)
    _sequence: int = field(default=0, init=False)
    _calls: int = field(default=0, init=False)
    _leaves_out: bool = field(default=False, init=False)
    """What else the model writes is not wanted."""

    @classmethod
    def of(
        cls,
        request: ResponsesRequest,
        *,
        response_id: str,
        model: str,
        seal: Seal | None,
        new_id: NewId,
        now: Callable[[], int],
    ) -> ResponseStream:
        """The stream that answers `request`. `seal`: None where nothing can be sealed."""
        return cls(
            response_id=response_id,
            model=model,
            tools=request.tools,
            echo=request.echo,
            new_id=new_id,
            now=now,
            limited=request.max_output_tokens is not None,
            max_tool_calls=request.max_calls,
            generate=request.generate,
            summarize=request.summarize,
            live_reasoning=request.live_reasoning,
            seal=seal if request.sealed_reasoning else None,
        )

    def start(self) -> list[Event]:
        if self.state != "idle":
            raise StreamProtocolError("start() called twice")
        self.state = "streaming"
        self._leaves_out = not self.generate
        self._created_at = self.now()
        return [
            self._of_response("response.created", "in_progress"),
            self._of_response("response.in_progress", "in_progress"),
        ]

    def heartbeat(self) -> Event:
        """Clients count only data events as signs of life; this one says nothing new."""
        self.heartbeats += 1
        return self._of_response("response.in_progress", "in_progress")

    def feed(self, delta: EngineDelta) -> list[Event]:
        if self.state != "streaming":
            raise StreamProtocolError(f"{type(delta).__name__} while {self.state}")
        if self._leaves_out and not isinstance(delta, Finished | Failed):
            return []
        match delta:
            case TextDelta(text, logprobs):
                return self._append_text(text, logprobs)
            case ReasoningDelta(text):
                return self._append_reasoning(text)
            case ToolCallStarted() | ToolCallArguments() | ToolCallFinished():
                return self._feed_call(delta)
            case CompactionStarted() | CompactionFinished():
                return self._feed_compaction(delta)
            case Finished():
                return self._finish(delta)
            case Failed(code, message):
                return self._fail(code, message)
        assert_never(delta)

    # transitions

    def _append_text(self, text: str, logprobs: tuple[TokenLogprob, ...]) -> list[Event]:
        if not text:
            return []
        if isinstance(self._open, MessageItem):
            return self._number(self._open.append(text, len(self._output), logprobs))
        if failed := self._unfinished_call():
            return failed
        item = MessageItem(new_item_id("message", self.new_id))
        begun = self._begin(item)
        return [*begun, *self._number(item.append(text, len(self._output), logprobs))]

    def _append_reasoning(self, text: str) -> list[Event]:
        if not text:
            return []
        if isinstance(self._open, ReasoningItem):
            return self._number(self._open.append(text, len(self._output)))
        if failed := self._unfinished_call():
            return failed
        item = self._reasoning_item()
        begun = self._begin(item)
        return [*begun, *self._number(item.append(text, len(self._output)))]

    def _reasoning_item(self) -> ReasoningItem:
        item_id = new_item_id("reasoning", self.new_id)
        if self.summarize:
            return SummarizedReasoningItem(item_id, self.seal)
        return ReasoningItem(item_id, self.seal, live=self.live_reasoning)

    def _feed_call(self, delta: ToolCallStarted | ToolCallArguments | ToolCallFinished) -> list[Event]:
        match delta:
            case ToolCallStarted(name):
                return self._unfinished_call() or self._begin(call_item(name, self.tools, self.new_id))
            case ToolCallArguments(text):
                return self._number(self._open_call().append(text, len(self._output)))
            case ToolCallFinished():
                return self._finish_call()

    def _finish_call(self) -> list[Event]:
        call = self._open_call()
        self._calls += 1
        self._leaves_out = self._calls == self.max_tool_calls
        done = self._close("completed")
        if call.check is not None:
            self.checks.append(call.check)
        return done

    def _feed_compaction(self, delta: CompactionStarted | CompactionFinished) -> list[Event]:
        if isinstance(delta, CompactionStarted):
            return self._begin(CompactionItem(new_item_id("compaction", self.new_id)))
        if not isinstance(self._open, CompactionItem):
            raise StreamProtocolError("no compaction is open")
        return [*self._open.append(delta.sealed, len(self._output)), *self._close("completed")]

    def _finish(self, finished: Finished) -> list[Event]:
        self.usage = finished.usage
        if not self.generate:
            self.usage = replace(finished.usage, output_tokens=0, reasoning_tokens=0)
            return [self._end("response.completed", "completed")]
        if finished.reason == "stop" or self._leaves_out:
            return self._unfinished_call() or self._stop()
        if not self.limited:
            # The context is full. Clients compact on this code; `incomplete` would end their turn instead.
            return self._fail("context_length_exceeded", "The conversation and its answer fill the model's context")
        if isinstance(self._open, CallItem):
            self._open = None
        details: JsonObject = {"reason": "max_output_tokens"}
        emitted = self._close("incomplete", "final_answer")
        return [*emitted, self._end("response.incomplete", "incomplete", incomplete_details=details)]

    def _stop(self) -> list[Event]:
        emitted = self._close("completed", "final_answer")
        kinds = {item["type"] for item in self._output}
        if kinds <= {"reasoning", "compaction"} and kinds != {"compaction"}:
            # Clients take this for a finished turn without an answer; after a failure they ask again.
            return [*emitted, *self._fail("server_error", "The model ended its turn without an answer")]
        return [*emitted, self._end("response.completed", "completed")]

    def _unfinished_call(self) -> list[Event]:
        """Whatever follows a call that the model did not close, the call must not be executed."""
        if isinstance(self._open, CallItem):
            return self._fail("server_error", "The model ended or went on inside a tool call")
        return []

    def _fail(self, code: str, message: str) -> list[Event]:
        self._open = None
        self.error_code = code
        return [self._end("response.failed", "failed", error={"code": code, "message": message})]

    # building blocks

    def _open_call(self) -> CallItem:
        if not isinstance(self._open, CallItem):
            raise StreamProtocolError("no tool call is open")
        return self._open

    def _begin(self, item: OutputItem) -> list[Event]:
        """Closes the item before it. A message that something follows was not the answer yet."""
        closed = self._close("completed")
        self._open = item
        index = len(self._output)
        return [
            *closed,
            *self._number([events.item_added(index, item.snapshot("in_progress")), *item.opened(index)]),
        ]

    def _close(self, status: ItemStatus, phase: Phase = "commentary") -> list[Event]:
        item, self._open = self._open, None
        if item is None:
            return []
        if isinstance(item, MessageItem):
            item.phase = phase
        index = len(self._output)
        emitted = item.closed(index)
        snapshot = item.snapshot(status)
        self._output.append(snapshot)
        return self._number([*emitted, events.item_done(index, snapshot)])

    def _end(self, kind: ResponseEventType, status: ResponseStatus, **fields: JsonValue) -> Event:
        self.state, self.status = "closed", status
        return self._of_response(kind, status, **fields)

    def _of_response(self, kind: ResponseEventType, status: ResponseStatus, **fields: JsonValue) -> Event:
        event = events.of_response(kind, self._response(status, **fields))
        return self._number([event])[0]

    def _number(self, emitted: list[Event]) -> list[Event]:
        for event in emitted:
            event["sequence_number"] = self._sequence
            self._sequence += 1
        return emitted

    def _response(self, status: ResponseStatus, **fields: JsonValue) -> JsonObject:
        return {
            **self.echo,
            "id": self.response_id,
            "object": "response",
            "created_at": self._created_at,
            "completed_at": self.now() if status == "completed" else None,
            "status": status,
            "model": self.model,
            "output": list(self._output),
            "error": None,
            "incomplete_details": None,
            "usage": None if self.usage is None else usage_object(self.usage),
            **fields,
        }


def usage_object(usage: Usage) -> JsonObject:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
