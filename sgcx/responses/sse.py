"""Server-sent events. One event is one frame, written whole: some clients lose a frame that arrives in two reads."""

from __future__ import annotations

import orjson

from sgcx.responses.events import Event

DONE = b"data: [DONE]\n\n"


def encode(event: Event) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), orjson.dumps(event))
