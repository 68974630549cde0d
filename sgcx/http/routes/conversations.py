"""Routes to conversations and their items."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sgcx.errors import InvalidRequest
from sgcx.http.bodies import read_json
from sgcx.http.ids import new_id
from sgcx.http.routes.answering import answer_json, answering, not_found
from sgcx.http.routes.pages import item_list, listed, parse_page
from sgcx.responses.continuation.history import own_items
from sgcx.responses.continuation.storage import Conversation, Storage
from sgcx.responses.input.items import InputReader
from sgcx.responses.parsing import Node, body_node
from sgcx.responses.tools.table import ToolTable
from sgcx.responses.wire import JsonObject

_CONVERSATION = "/v1/conversations/{conversation_id}"
_ITEM = _CONVERSATION + "/items/{item_id}"
_MAX_PAIRS, _MAX_KEY_CHARACTERS, _MAX_VALUE_CHARACTERS = 16, 64, 512


def conversation_routes(storage: Storage) -> list[Route]:
    conversations = _Conversations(storage)
    return [
        Route("/v1/conversations", answering(conversations.create), methods=["POST"]),
        Route(_CONVERSATION, answering(conversations.retrieve), methods=["GET"]),
        Route(_CONVERSATION, answering(conversations.update), methods=["POST"]),
        Route(_CONVERSATION, answering(conversations.delete), methods=["DELETE"]),
        Route(f"{_CONVERSATION}/items", answering(conversations.list_items), methods=["GET"]),
        Route(f"{_CONVERSATION}/items", answering(conversations.add_items), methods=["POST"]),
        Route(_ITEM, answering(conversations.retrieve_item), methods=["GET"]),
        Route(_ITEM, answering(conversations.delete_item), methods=["DELETE"]),
    ]


class _Conversations:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def create(self, request: Request) -> Response:
        body = await _body(request)
        metadata, items = _metadata(body.get("metadata")), _items(body.get("items"))
        return _shown(await self._storage.create_conversation(new_id("conv"), metadata, items))

    async def retrieve(self, request: Request) -> Response:
        conversation_id = request.path_params["conversation_id"]
        conversation = await self._storage.get_conversation(conversation_id)
        return _unknown(conversation_id) if conversation is None else _shown(conversation)

    async def update(self, request: Request) -> Response:
        conversation_id = request.path_params["conversation_id"]
        metadata = _metadata((await _body(request)).get("metadata"))
        conversation = await self._storage.update_conversation(conversation_id, metadata)
        return _unknown(conversation_id) if conversation is None else _shown(conversation)

    async def delete(self, request: Request) -> Response:
        conversation_id = request.path_params["conversation_id"]
        if not await self._storage.delete_conversation(conversation_id):
            return _unknown(conversation_id)
        return answer_json({"id": conversation_id, "object": "conversation.deleted", "deleted": True})

    async def list_items(self, request: Request) -> Response:
        conversation_id = request.path_params["conversation_id"]
        page = parse_page(request.query_params)
        items = await self._storage.conversation_items(conversation_id)
        return _unknown(conversation_id) if items is None else answer_json(item_list(items, page))

    async def add_items(self, request: Request) -> Response:
        conversation_id = request.path_params["conversation_id"]
        items = _items((await _body(request)).get("items"))
        if not items:
            raise InvalidRequest("`items` is required: an array of one item or more", param="items")
        if not await self._storage.add_items(conversation_id, items):
            return _unknown(conversation_id)
        return answer_json(listed(items))

    async def retrieve_item(self, request: Request) -> Response:
        conversation_id, item_id = request.path_params["conversation_id"], request.path_params["item_id"]
        items = await self._storage.conversation_items(conversation_id)
        if items is None:
            return _unknown(conversation_id)
        item = next((item for item in items if item["id"] == item_id), None)
        return not_found("Item", item_id) if item is None else answer_json(item)

    async def delete_item(self, request: Request) -> Response:
        conversation_id, item_id = request.path_params["conversation_id"], request.path_params["item_id"]
        conversation = await self._storage.get_conversation(conversation_id)
        if conversation is None:
            return _unknown(conversation_id)
        if not await self._storage.delete_item(conversation_id, item_id):
            return not_found("Item", item_id)
        return _shown(conversation)


async def _body(request: Request) -> Node:
    """An empty body is an empty object: every field of a new conversation is optional."""
    return body_node(await read_json(request, empty=b"{}"))


def _items(node: Node) -> tuple[JsonObject, ...]:
    if node.is_null():
        return ()
    if node.is_string():
        raise node.invalid("an array")
    InputReader(ToolTable()).read(node)  # raises where an item is malformed; what no model has a use for may be kept
    return own_items(node.value, new_id)


def _metadata(node: Node) -> JsonObject:
    if node.is_null():
        return {}
    metadata = node.as_object()
    if len(metadata) > _MAX_PAIRS:
        raise InvalidRequest(f"`metadata` has more than {_MAX_PAIRS} entries", param="metadata")
    for key, value in metadata.items():
        if len(key) > _MAX_KEY_CHARACTERS or len(Node(value, f"metadata.{key}").string()) > _MAX_VALUE_CHARACTERS:
            raise InvalidRequest(
                f"`metadata.{key[:_MAX_KEY_CHARACTERS]}` is too long: keys have up to {_MAX_KEY_CHARACTERS} characters,"
                f" values up to {_MAX_VALUE_CHARACTERS}",
                param="metadata",
            )
    return metadata


def _shown(conversation: Conversation) -> Response:
    return answer_json(
        {
            "id": conversation.id,
            "object": "conversation",
            "created_at": conversation.created_at,
            "metadata": conversation.metadata,
        }
    )


def _unknown(conversation_id: str) -> Response:
    return not_found("Conversation", conversation_id)
