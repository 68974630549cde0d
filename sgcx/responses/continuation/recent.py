"""What one connection remembers: its latest responses, so that it can continue one that nothing else keeps."""

from __future__ import annotations

from collections import OrderedDict

from sgcx.responses.continuation.storage import StoredResponse

_CAPACITY = 8
"""Clients continue the latest response; a few more allow for branches and for several conversations in turn."""


class RecentResponses:
    def __init__(self) -> None:
        self._by_id: OrderedDict[str, StoredResponse] = OrderedDict()

    def get(self, response_id: str) -> StoredResponse | None:
        return self._by_id.get(response_id)

    def remember(self, concluded: StoredResponse) -> None:
        self._by_id[str(concluded.response["id"])] = concluded
        if len(self._by_id) > _CAPACITY:
            self._by_id.popitem(last=False)

    def forget(self, response_id: str) -> None:
        """A continuation that failed evicts its parent: the client starts again with its whole history."""
        self._by_id.pop(response_id, None)
