"""The arguments of past tool calls, in the messages of a chat."""

from __future__ import annotations

from collections.abc import Callable

from sgcx.responses.wire import JsonObject, JsonValue


def with_arguments(message: JsonObject, encode: Callable[[str], str]) -> JsonObject:
    """`message`, where the arguments of each call are what `encode` makes of them."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    encoded: list[JsonValue] = []
    for call in calls:
        function = call["function"]
        encoded.append({**call, "function": {**function, "arguments": encode(function["arguments"])}})
    return {**message, "tool_calls": encoded}
