"""What the Responses layer asks of whoever keeps responses and conversations.

Unknown, expired and evicted look alike: None or False. What fails (a full disk) is an `OSError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sgcx.responses.wire import JsonObject


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A finished response and everything that it answered: the earlier history and its own input."""

    response: JsonObject
    input_items: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    id: str
    created_at: int
    metadata: JsonObject


class Storage(Protocol):
    async def put_response(
        self, response: JsonObject, input_items: Sequence[JsonObject], events: Sequence[JsonObject]
    ) -> None:
        """`events` as `replay.condense` leaves them. A response of the same id is replaced."""
        ...

    async def get_response(self, response_id: str) -> StoredResponse | None: ...

    async def get_events(self, response_id: str) -> tuple[JsonObject, ...] | None: ...

    async def delete_response(self, response_id: str) -> bool: ...

    async def find_items(self, item_ids: Sequence[str]) -> Mapping[str, JsonObject]:
        """Output items and conversation items by their ids; those that are not there are left out."""
        ...

    async def create_conversation(
        self, conversation_id: str, metadata: JsonObject, items: Sequence[JsonObject]
    ) -> Conversation: ...

    async def get_conversation(self, conversation_id: str) -> Conversation | None: ...

    async def update_conversation(self, conversation_id: str, metadata: JsonObject) -> Conversation | None: ...

    async def delete_conversation(self, conversation_id: str) -> bool: ...

    async def add_items(self, conversation_id: str, items: Sequence[JsonObject]) -> bool:
        """Every item has an id. One whose id is there already stays as and where it is."""
        ...

    async def conversation_items(self, conversation_id: str) -> tuple[JsonObject, ...] | None:
        """Oldest first."""
        ...

    async def delete_item(self, conversation_id: str, item_id: str) -> bool: ...
