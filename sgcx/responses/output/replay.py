"""The events of a finished response, once more and with their own sequence numbers.

Kept are only the events that add something. The others carry the response object, which is kept anyway:
number 0 is `created`, the last one is the terminal event, and any other number that is missing was a heartbeat.
A cancelled response has no terminal event: the API knows none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sgcx.responses import events
from sgcx.responses.events import Event, ResponseEventType
from sgcx.responses.wire import JsonObject, JsonValue

_TERMINAL: dict[str, ResponseEventType] = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
}


def is_terminal(event: JsonObject) -> bool:
    return event.get("type") in _TERMINAL.values()


def condense(event: JsonObject) -> JsonObject | None:
    """The event as it is kept; None where the stored response says it all. The terminal event leaves its number."""
    if is_terminal(event):
        return {"sequence_number": event["sequence_number"]}
    return None if "response" in event else event


def replay(response: JsonObject, kept: Sequence[JsonObject], *, starting_after: int = -1) -> Iterator[Event]:
    """Events numbered higher than `starting_after`."""
    output: list[JsonValue] = []
    number = 0
    for event in kept:
        sequence_number = event["sequence_number"]
        assert isinstance(sequence_number, int)
        for missing in range(number, sequence_number):
            if missing > starting_after:
                yield _unfinished(response, missing, output)
        if sequence_number > starting_after:
            yield dict(event) if "type" in event else _last(response, sequence_number)
        if event.get("type") == "response.output_item.done":
            output.append(event["item"])
        number = sequence_number + 1


def snapshot(sent: Sequence[JsonObject]) -> JsonObject:
    """The response as far as its events tell. There is at least the first one."""
    last = sent[-1].get("response")
    if is_terminal(sent[-1]) and isinstance(last, Mapping):
        return last
    first = sent[0]["response"]
    assert isinstance(first, Mapping)
    return {**first, "output": [event["item"] for event in sent if event.get("type") == "response.output_item.done"]}


def _unfinished(response: JsonObject, sequence_number: int, output: Sequence[JsonValue]) -> Event:
    so_far: JsonObject = {
        **response,
        "status": "in_progress",
        "completed_at": None,
        "output": list(output),
        "error": None,
        "incomplete_details": None,
        "usage": None,
    }
    kind: ResponseEventType = "response.in_progress" if sequence_number else "response.created"
    return {**events.of_response(kind, so_far), "sequence_number": sequence_number}


def _last(response: JsonObject, sequence_number: int) -> Event:
    kind = _TERMINAL[str(response["status"])]
    return {**events.of_response(kind, response), "sequence_number": sequence_number}
