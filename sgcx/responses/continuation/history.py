"""What a request continues: the items before its own, out of a stored response or a conversation.

The history of a response is its input and then its output. Its instructions are not part of that: each request
brings its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sgcx.errors import InvalidRequest
from sgcx.responses.continuation.storage import StoredResponse
from sgcx.responses.item_ids import NewId, new_item_id
from sgcx.responses.parsing import Node
from sgcx.responses.wire import JsonObject, JsonValue, objects

_COMPLETED: JsonObject = {"status": "completed"}
_FOUND_BY_CLIENT: JsonObject = {"execution": "client", "status": "completed"}
_DEFAULTS: Mapping[str, JsonObject] = {
    "message": _COMPLETED,
    "function_call": _COMPLETED,
    "function_call_output": _COMPLETED,
    "custom_tool_call": _COMPLETED,
    "custom_tool_call_output": _COMPLETED,
    "tool_search_call": _FOUND_BY_CLIENT,
    "tool_search_output": _FOUND_BY_CLIENT,
    "shell_call": _COMPLETED,
    "shell_call_output": _COMPLETED,
    "local_shell_call": _COMPLETED,
    "apply_patch_call": _COMPLETED,
}
"""What a listed item has that one in a request may leave out."""


def earlier_items(
    previous: StoredResponse | None, conversation_items: Sequence[JsonObject] = ()
) -> tuple[JsonObject, ...]:
    """Everything that came before the request's own input, oldest first. Output items are input items as they are."""
    if previous is None:
        return tuple(conversation_items)
    return (*conversation_items, *previous.input_items, *objects(previous.response.get("output")))


def own_items(sent: JsonValue, new_id: NewId) -> tuple[JsonObject, ...]:
    """A request's own `input` as the API lists it: every item with an id, text as content parts."""
    if isinstance(sent, str):
        return (_as_listed({"role": "user", "content": sent}, new_id),)
    return tuple(_as_listed(item, new_id) for item in objects(sent) if item.get("type") != "item_reference")


def with_distinct_ids(items: Iterable[JsonObject], new_id: NewId) -> tuple[JsonObject, ...]:
    """What repeats the id of an item before it gets one of its own: pages of a list go on behind an id."""
    seen: set[JsonValue] = set()
    distinct: list[JsonObject] = []
    for item in items:
        if item["id"] in seen:
            item = {**item, "id": new_item_id(str(item["type"]), new_id)}
        seen.add(item["id"])
        distinct.append(item)
    return tuple(distinct)


def _as_listed(item: JsonObject, new_id: NewId) -> JsonObject:
    kind = str(item.get("type") or "message")
    listed: dict[str, JsonValue] = {**item, "type": kind}
    if not isinstance(listed.get("id"), str) or not listed["id"]:
        listed["id"] = new_item_id(kind, new_id)
    for name, value in _DEFAULTS.get(kind, {}).items():
        if listed.get(name) is None:
            listed[name] = value
    content = listed.get("content")
    if kind == "message" and isinstance(content, str):
        listed["content"] = [_text_part(content, output=item.get("role") == "assistant")]
    return listed


def _text_part(text: str, *, output: bool) -> JsonObject:
    if output:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": text}


def require_calls(earlier: Sequence[JsonObject], body: Node) -> None:
    """Raises `InvalidRequest` where the request answers a call that the history it continues does not have.

    Only for a history that is known here: one that the client sends whole may have been cut on purpose, and so
    may one that was compacted.
    """
    if not earlier or any(item.get("type") == "compaction" for item in earlier):
        return
    sent = tuple(objects(body.get("input").value))
    calls = [item.get("call_id") for item in (*earlier, *sent) if not _is_output(item)]
    known = {call_id for call_id in calls if isinstance(call_id, str)}
    for index, item in enumerate(sent):
        call_id = item.get("call_id")
        if _is_output(item) and isinstance(call_id, str) and call_id not in known:
            raise InvalidRequest(
                f"No tool call found for the tool output with call_id {call_id!r}",
                param=f"input[{index}].call_id",
            )


def _is_output(item: JsonObject) -> bool:
    return str(item.get("type")).endswith("_output")


def referenced_ids(body: Node) -> tuple[str, ...]:
    """The ids that `item_reference` items of the request point to."""
    sent = body.get("input").value
    return tuple(str(item.get("id")) for item in objects(sent) if item.get("type") == "item_reference")


def with_references(body: JsonObject, found: Mapping[str, JsonObject]) -> JsonObject:
    """Each reference replaced by its item. One that leads nowhere stays, and is reported as left out."""
    sent = body.get("input")
    if not found or isinstance(sent, str) or not isinstance(sent, Sequence):
        return body
    return {**body, "input": [_resolved(item, found) for item in sent]}


def _resolved(item: JsonValue, found: Mapping[str, JsonObject]) -> JsonValue:
    if isinstance(item, Mapping) and item.get("type") == "item_reference":
        return found.get(str(item.get("id")), item)
    return item
