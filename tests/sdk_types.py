"""The OpenAI SDK's own types as judges of what we emit."""

from __future__ import annotations

from typing import Any, get_args

from openai.types.responses import ResponseItem, ResponseOutputItem, ResponseStreamEvent
from pydantic import BaseModel


def _by_type(union: object) -> dict[str, type[BaseModel]]:
    """The members of one of the SDK's annotated unions by their `type`."""
    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}


_EVENTS = _by_type(ResponseStreamEvent)
_ITEMS = _by_type(ResponseOutputItem)
_LISTED = _by_type(ResponseItem)


def judge(events: list[dict[str, Any]]) -> None:
    """Raises where an event, or an item in it, is not as the SDK types it."""
    for event in events:
        _EVENTS[event["type"]].model_validate(event)
        items = event["response"]["output"] if "response" in event else [event["item"]] if "item" in event else []
        for item in items:
            _ITEMS[item["type"]].model_validate(item)


def judge_listed(item: dict[str, Any]) -> None:
    """An item as the API lists it; messages are those of the assistant."""
    _LISTED[item["type"]].model_validate(item)
