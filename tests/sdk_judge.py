"""OpenAI's own SDK as the judge of what is sent: its types accept every event, its accumulator never raises."""

from __future__ import annotations

from typing import Any, get_args

from openai import NOT_GIVEN
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseItem, ResponseStreamEvent
from pydantic import BaseModel


def _by_type(union: object) -> dict[str, type[BaseModel]]:
    """The members of one of the SDK's annotated unions by their `type`."""
    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}


_EVENTS: dict[str, Any] = _by_type(ResponseStreamEvent)
_LISTED = _by_type(ResponseItem)
TERMINAL = ("response.completed", "response.incomplete", "response.failed")


def judge(events):
    """The response as the SDK accumulates it from its first event to its last.

    Raises where an event is none of the SDK's, where the accumulator stumbles, and where the numbers have gaps.
    """
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events if event["type"] in TERMINAL] == [events[-1]["type"]]
    state = ResponseStreamState(input_tools=NOT_GIVEN, text_format=NOT_GIVEN)
    for event in events:
        state.handle_event(_EVENTS[event["type"]].model_validate(_typed(event)))
    final = Response.model_validate(_typed(events[-1])["response"])
    _agree(events, final)
    return final


def judge_listed(item):
    """Raises where an item is not as the API lists it; messages are those of the assistant."""
    _LISTED[item["type"]].model_validate(item)


def _typed(event):
    """The API sends one error code that the SDK's types lack, and Codex compacts on it."""
    response = event.get("response") or {}
    if (response.get("error") or {}).get("code") != "context_length_exceeded":
        return event
    return {**event, "response": {**response, "error": {**response["error"], "code": "server_error"}}}


def _agree(events, final):
    """What was streamed is what the last event lists, item by item and id by id."""
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert [item["id"] for item in done] == [item.id for item in final.output]
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    if final.status != "failed":
        assert text == final.output_text
