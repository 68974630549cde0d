"""What one connection remembers: its latest responses, so that it can continue one that nothing else keeps."""

from __future__ import annotations

from collections import OrderedDict

import orjson

from sgcx.byte_sizes import MIB
from sgcx.responses.continuation.storage import StoredResponse

_MAX_RESPONSES = 8
"""Clients continue the latest response; a few more allow for branches and for several conversations in turn."""
_MAX_BYTES = 64 * MIB


class RecentResponses:
    """Bounded in number and size, but for the latest: a conversation can always go on."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, tuple[StoredResponse, int]] = OrderedDict()
        self._bytes = 0
        """Of all of them as JSON: items that several have in common count for each."""

    def get(self, response_id: str) -> StoredResponse | None:
        concluded, _ = self._by_id.get(response_id, (None, 0))
        return concluded

    def remember(self, concluded: StoredResponse) -> None:
        size_bytes = len(orjson.dumps((concluded.response, concluded.input_items)))
        self._by_id[str(concluded.response["id"])] = concluded, size_bytes
        self._bytes += size_bytes
        while len(self._by_id) > _MAX_RESPONSES or (self._bytes > _MAX_BYTES and len(self._by_id) > 1):
            self.forget(next(iter(self._by_id)))

    def forget(self, response_id: str) -> None:
        """A continuation that failed evicts its parent: the client starts again with its whole history."""
        _, size_bytes = self._by_id.pop(response_id, (None, 0))
        self._bytes -= size_bytes
