"""The wire events, one constructor each. Names and fields are the API's own (openai.types.responses).

`sequence_number` is not theirs to give: `ResponseStream` numbers events as it emits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sgcx.responses.deltas import TokenLogprob
from sgcx.responses.wire import JsonObject, JsonValue

ResponseEventType = Literal[
    "response.created", "response.in_progress", "response.completed", "response.incomplete", "response.failed"
]
Event = dict[str, JsonValue]

_LEAST_LOGPROB = -9999.0
"""JSON has no infinity; this is what the API says for what sampling left out."""


def of_response(kind: ResponseEventType, response: JsonObject) -> Event:
    return {"type": kind, "response": response}


def item_added(output_index: int, item: JsonObject) -> Event:
    return {"type": "response.output_item.added", "output_index": output_index, "item": item}


def item_done(output_index: int, item: JsonObject) -> Event:
    return {"type": "response.output_item.done", "output_index": output_index, "item": item}


def compacting(item_id: str, output_index: int) -> Event:
    return _of_item("response.compaction.compacting", item_id, output_index, {})


def part_added(item_id: str, output_index: int, part: JsonObject) -> Event:
    return _of_part("response.content_part.added", item_id, output_index, {"part": part})


def part_done(item_id: str, output_index: int, part: JsonObject) -> Event:
    return _of_part("response.content_part.done", item_id, output_index, {"part": part})


def text_delta(item_id: str, output_index: int, delta: str, logprobs: Sequence[TokenLogprob]) -> Event:
    # One per token, so nothing is built twice or for nothing.
    return {
        "type": "response.output_text.delta",
        "item_id": item_id,
        "output_index": output_index,
        "content_index": 0,
        "delta": delta,
        "logprobs": _logprobs(logprobs) if logprobs else [],
    }


def text_done(item_id: str, output_index: int, text: str, logprobs: Sequence[TokenLogprob]) -> Event:
    fields: JsonObject = {"text": text, "logprobs": _logprobs(logprobs)}
    return _of_part("response.output_text.done", item_id, output_index, fields)


def output_text(text: str, logprobs: Sequence[TokenLogprob]) -> JsonObject:
    """The content part. Unlike events, it gives the bytes of each token."""
    return {
        "type": "output_text",
        "text": text,
        "annotations": [],
        "logprobs": [
            {
                **_token(entry.token, entry.logprob),
                "top_logprobs": [_token(token, logprob) for token, logprob in entry.top],
            }
            for entry in logprobs
        ],
    }


def _token(token: str, logprob: float) -> JsonObject:
    return {"token": token, "bytes": list(token.encode()), "logprob": max(logprob, _LEAST_LOGPROB)}


def _logprobs(entries: Sequence[TokenLogprob]) -> list[JsonObject]:
    return [
        {
            "token": entry.token,
            "logprob": max(entry.logprob, _LEAST_LOGPROB),
            "top_logprobs": [{"token": token, "logprob": max(logprob, _LEAST_LOGPROB)} for token, logprob in entry.top],
        }
        for entry in entries
    ]


def reasoning_delta(item_id: str, output_index: int, delta: str) -> Event:
    return {
        "type": "response.reasoning_text.delta",
        "item_id": item_id,
        "output_index": output_index,
        "content_index": 0,
        "delta": delta,
    }


def reasoning_done(item_id: str, output_index: int, text: str) -> Event:
    return _of_part("response.reasoning_text.done", item_id, output_index, {"text": text})


def summary_part_added(item_id: str, output_index: int, part: JsonObject) -> Event:
    return _of_summary("response.reasoning_summary_part.added", item_id, output_index, {"part": part})


def summary_part_done(item_id: str, output_index: int, part: JsonObject) -> Event:
    return _of_summary("response.reasoning_summary_part.done", item_id, output_index, {"part": part})


def summary_delta(item_id: str, output_index: int, delta: str) -> Event:
    return _of_summary("response.reasoning_summary_text.delta", item_id, output_index, {"delta": delta})


def summary_done(item_id: str, output_index: int, text: str) -> Event:
    return _of_summary("response.reasoning_summary_text.done", item_id, output_index, {"text": text})


def arguments_delta(item_id: str, output_index: int, delta: str) -> Event:
    return _of_item("response.function_call_arguments.delta", item_id, output_index, {"delta": delta})


def arguments_done(item_id: str, output_index: int, name: str, arguments: str) -> Event:
    fields: JsonObject = {"name": name, "arguments": arguments}
    return _of_item("response.function_call_arguments.done", item_id, output_index, fields)


def custom_input_delta(item_id: str, output_index: int, delta: str) -> Event:
    return _of_item("response.custom_tool_call_input.delta", item_id, output_index, {"delta": delta})


def custom_input_done(item_id: str, output_index: int, text: str) -> Event:
    return _of_item("response.custom_tool_call_input.done", item_id, output_index, {"input": text})


def shell_command(output_index: int, command_index: int, command: str) -> list[Event]:
    """One command of a shell call, which goes out in one piece."""
    place: JsonObject = {"output_index": output_index, "command_index": command_index}
    return [
        {"type": "response.shell_call_command.added", **place, "command": ""},
        {"type": "response.shell_call_command.delta", **place, "delta": command},
        {"type": "response.shell_call_command.done", **place, "command": command},
    ]


def _of_item(kind: str, item_id: str, output_index: int, fields: JsonObject) -> Event:
    return {"type": kind, "item_id": item_id, "output_index": output_index, **fields}


def _of_part(kind: str, item_id: str, output_index: int, fields: JsonObject) -> Event:
    # Every item has at most one content part, so its index is always 0.
    return {"type": kind, "item_id": item_id, "output_index": output_index, "content_index": 0, **fields}


def _of_summary(kind: str, item_id: str, output_index: int, fields: JsonObject) -> Event:
    # One summary part, too.
    return {"type": kind, "item_id": item_id, "output_index": output_index, "summary_index": 0, **fields}
