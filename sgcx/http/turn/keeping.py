"""State around one request: what it continues is looked up before, what came of it is kept after.

A response is kept before its terminal event goes out, so that a client can continue from it at once. A store
that fails costs the record, never the answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field

from sgcx.errors import InvalidRequest
from sgcx.http.ids import new_id
from sgcx.responses.continuation.history import (
    earlier_items,
    own_items,
    referenced_ids,
    require_calls,
    with_distinct_ids,
    with_references,
)
from sgcx.responses.continuation.recent import RecentResponses
from sgcx.responses.continuation.storage import Storage, StoredResponse
from sgcx.responses.events import Event
from sgcx.responses.output.replay import condense, is_terminal
from sgcx.responses.parsing import Node, body_node
from sgcx.responses.wire import JsonObject, JsonValue, objects

logger = logging.getLogger(__name__)

Batches = AsyncGenerator[list[Event], None]


@dataclass(slots=True)
class Turn:
    body: JsonObject
    """The request's body, its references to kept items replaced by the items."""
    stateful: bool = False
    """There is a store, whether this response goes there or not."""
    earlier: tuple[JsonObject, ...] = ()
    """The items that go before its `input`."""
    storage: Storage | None = None
    """Where the result goes; None: nothing is kept."""
    conversation_id: str | None = None
    _own: tuple[JsonObject, ...] | None = field(default=None, init=False)

    @property
    def own(self) -> tuple[JsonObject, ...]:
        """The items of its `input`, each with an id."""
        if self._own is None:
            self._own = own_items(self.body.get("input"), new_id)
        return self._own

    def concluded(self, response: JsonObject) -> StoredResponse:
        return StoredResponse(response, with_distinct_ids((*self.earlier, *self.own), new_id))

    def kept(self, batches: Batches) -> Batches:
        """The same events; the response is in the store when the last one comes out."""
        return batches if self.storage is None else self._recorded(batches)

    async def _recorded(self, batches: Batches) -> Batches:
        recorded: list[JsonObject] = []
        try:
            async for batch in batches:
                recorded += [kept for event in batch if (kept := condense(event)) is not None]
                if batch and is_terminal(batch[-1]):
                    # A client that leaves now has its whole answer: what is being kept is kept whole as well.
                    await asyncio.shield(self.keep(batch[-1]["response"], recorded))
                yield batch
        finally:
            await batches.aclose()

    async def keep(self, response: JsonValue, recorded: Sequence[JsonObject]) -> None:
        assert isinstance(response, Mapping)
        storage = self.storage
        if storage is None:
            return
        try:
            await storage.put_response(response, self.concluded(response).input_items, recorded)
            if self.conversation_id is not None and response["status"] in ("completed", "incomplete"):
                await storage.add_items(self.conversation_id, (*self.own, *objects(response["output"])))
        except OSError:
            logger.exception("response %s could not be kept", response["id"])


async def open_turn(storage: Storage | None, decoded: object, remembered: RecentResponses | None = None) -> Turn:
    """Raises `InvalidRequest` where the request continues something that is not here.

    `remembered`: what the client's connection can continue besides what is stored; None over HTTP.
    """
    node = body_node(decoded)
    body = node.as_object()
    if storage is None and remembered is None:
        return Turn(body)
    earlier, conversation_id = await _earlier(storage, remembered, node)
    require_calls(earlier, node)
    keeps = storage is not None and node.get("store").boolean(True)
    return Turn(
        body=await _with_references(storage, node, earlier),
        stateful=storage is not None,
        earlier=earlier,
        storage=storage if keeps else None,
        conversation_id=conversation_id,
    )


async def _earlier(
    storage: Storage | None, remembered: RecentResponses | None, node: Node
) -> tuple[tuple[JsonObject, ...], str | None]:
    previous_id = node.get("previous_response_id").optional_string()
    conversation_id = _conversation_id(node.get("conversation"))
    if previous_id is not None and conversation_id is not None:
        raise InvalidRequest("`previous_response_id` and `conversation` exclude each other", param="conversation")
    if previous_id is not None:
        recent = None if remembered is None else remembered.get(previous_id)
        return earlier_items(recent or await _previous(storage, previous_id)), None
    if conversation_id is not None and storage is not None:
        return earlier_items(None, await _conversation(storage, conversation_id)), conversation_id
    return (), None


async def _with_references(storage: Storage | None, node: Node, earlier: tuple[JsonObject, ...]) -> JsonObject:
    known = {item.get("id") for item in earlier}
    wanted = [item_id for item_id in referenced_ids(node) if item_id not in known]
    found = await storage.find_items(wanted) if storage is not None and wanted else {}
    return with_references(node.as_object(), found)


def _conversation_id(node: Node) -> str | None:
    if node.is_null() or node.is_string():
        return node.optional_string()
    return node.get("id").string()


async def _previous(storage: Storage | None, response_id: str) -> StoredResponse:
    previous = None if storage is None else await storage.get_response(response_id)
    if previous is None:
        raise InvalidRequest(
            f"Previous response with id {response_id!r} not found",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    return previous


async def _conversation(storage: Storage, conversation_id: str) -> tuple[JsonObject, ...]:
    items = await storage.conversation_items(conversation_id)
    if items is None:
        raise InvalidRequest(
            f"Conversation with id {conversation_id!r} not found", param="conversation", code="conversation_not_found"
        )
    return items
