"""A turn's body as a typed request, with the tools that its conversation has."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sgcx.http.endpoint import Endpoint
from sgcx.http.images import with_fetched
from sgcx.http.turn.keeping import Turn
from sgcx.responses.request import ResponsesRequest, parse_request
from sgcx.responses.wire import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Reading:
    """`declared_tools`: what `request.tools` was read from, over the wire."""

    request: ResponsesRequest
    declared_tools: JsonValue
    restored: bool
    """The tools are those of the turns before: this one sent none, and can call none."""


async def read_turn(endpoint: Endpoint, turn: Turn) -> Reading:
    """Raises `InvalidRequest`."""
    request = _parse(endpoint, turn, turn.body)
    images = await endpoint.images.fetch(request.input) if endpoint.model.images else {}
    request = with_fetched(request, images)
    left_out = endpoint.prompt_memory.left_out_tools(request)
    if left_out is None:
        return Reading(request, turn.body.get("tools"), restored=False)
    # Items are read anew, too: they speak of tools by the names under which the model sees them.
    restored = with_fetched(_parse(endpoint, turn, {**turn.body, "tools": left_out, "tool_choice": "none"}), images)
    return Reading(replace(restored, echo=request.echo, ignored=request.ignored), left_out, restored=True)


def _parse(endpoint: Endpoint, turn: Turn, body: JsonObject) -> ResponsesRequest:
    return parse_request(body, earlier=turn.earlier, stateful=turn.stateful, seal=endpoint.seal)
