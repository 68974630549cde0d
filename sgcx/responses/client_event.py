"""What a client sends over a WebSocket: a request's body, and the lane that its events go back on."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.errors import InvalidRequest
from sgcx.responses.parsing import body_node
from sgcx.responses.wire import JsonObject

_MAX_STREAM_ID_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class CreateEvent:
    """`response.create`. Its response is streamed, whatever the body says about `stream`."""

    body: JsonObject
    stream_id: str | None
    previous_response_id: str | None


def parse_client_event(decoded: object) -> CreateEvent:
    node = body_node(decoded)
    kind = node.get("type").optional_string()
    if kind != "response.create":
        raise InvalidRequest(f"`type` must be response.create, not {kind!r}", param="type")
    if node.get("background").boolean(False):
        raise InvalidRequest(
            "`background` is not for WebSockets, where a response ends with its connection", param="background"
        )
    stream_id = node.get("stream_id").optional_string()
    if stream_id is not None and len(stream_id) > _MAX_STREAM_ID_CHARACTERS:
        raise InvalidRequest(f"`stream_id` has more than {_MAX_STREAM_ID_CHARACTERS} characters", param="stream_id")
    return CreateEvent(node.as_object(), stream_id, node.get("previous_response_id").optional_string())
