"""Server-sent events. One event is one frame, written whole: some clients lose a frame that arrives in two reads."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from sgcx.responses.events import Event

DONE = b"data: [DONE]\n\n"


def encode(event: Event) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), orjson.dumps(event))


@dataclass(slots=True)
class SseDecoder:
    """Bytes in any pieces → the data of each complete event. The same bytes in other pieces give the same events.

    Works on bytes: Python's line splitting also ends lines at characters that are data here (U+2028 is one).
    """

    _rest: bytes = field(default=b"", init=False)
    """The line that is not complete yet."""
    _data: list[bytes] = field(default_factory=list, init=False)
    """The data lines of the event that is not complete yet."""
    _after_return: bool = field(default=False, init=False)
    """The last byte was a carriage return: a line feed that follows belongs to it."""

    def feed(self, chunk: bytes) -> list[str]:
        if self._after_return and chunk:
            chunk, self._after_return = chunk.removeprefix(b"\n"), False
        if b"\r" in chunk:
            self._after_return = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> str | None:
        """The event that this line completes. Of the fields only `data` matters here."""
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            return None
        if not self._data:
            return None
        data, self._data = b"\n".join(self._data), []
        return data.decode(errors="replace")
