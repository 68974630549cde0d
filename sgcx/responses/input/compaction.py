"""What clients ask for and carry about compaction: the wish for it, and the messages that a `compaction` item seals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sgcx.errors import InvalidRequest
from sgcx.responses.items import ROLES, ImagePart, Message, Part, TextPart
from sgcx.responses.parsing import Node
from sgcx.responses.wire import JsonObject, JsonValue, objects

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class CompactionWish:
    """`threshold_tokens`: compact a longer prompt; None: the server decides how long is too long. `now`: in any case,
    and nothing else."""

    threshold_tokens: int | None = None
    now: bool = False


def parse_compaction_wish(context_management: Node, request_input: Node) -> CompactionWish | None:
    if _ends_with_trigger(request_input.value):
        return CompactionWish(now=True)
    for entry in context_management.items():
        if entry.get("type").string() == "compaction":
            return CompactionWish(entry.get("compact_threshold").optional_integer(1))
    return None


def _ends_with_trigger(value: JsonValue) -> bool:
    *_, last = (None, *objects(value))
    return last is not None and last.get("type") == "compaction_trigger"


def encode_messages(messages: Sequence[Message]) -> bytes:
    """For sealing."""
    document: JsonObject = {
        "format": _FORMAT,
        "messages": [
            {"role": message.role, "content": list(map(_encode_part, message.content))} for message in messages
        ],
    }
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def decode_messages(sealed: bytes) -> tuple[Message, ...] | None:
    """None for what another version sealed, in a form of its own."""
    try:
        node = Node(json.loads(sealed.decode("utf-8", "surrogatepass")), "encrypted_content")
        if not isinstance(node.value, Mapping) or node.value.get("format") != _FORMAT:
            return None
        return tuple(_messages(node.get("messages")))
    except (ValueError, InvalidRequest):
        return None


def _encode_part(part: Part) -> JsonObject:
    match part:
        case TextPart(text):
            return {"text": text}
        case ImagePart(url, detail):
            return {"image": url, "detail": detail}


def _messages(node: Node) -> Iterator[Message]:
    for element in node.items():
        role = next((role for role in ROLES if role == element.get("role").value), None)
        if role is None:
            raise element.invalid("a message")
        yield Message(role, tuple(map(_decode_part, element.get("content").items())))


def _decode_part(node: Node) -> Part:
    image = node.get("image").optional_string()
    if image is not None:
        return ImagePart(image, node.get("detail").string())
    return TextPart(node.get("text").string())
