"""Compaction: a long history gives way to a short one that the model wrote itself.

A `compaction` item stands for everything before it. Sealed in it are the messages that take that place: instructions,
what the user said lately, to the letter; the model's summary of all that happened; and what the model has yet to
answer. A client that keeps the items before it, and one that drops them, go on with the same prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sgcx.errors import InvalidRequest
from sgcx.responses.history import objects
from sgcx.responses.items import ROLES, ImagePart, InputItem, Message, Part, TextPart
from sgcx.responses.parsing import Node
from sgcx.responses.request import ResponsesRequest, TextFormat
from sgcx.responses.wire import JsonObject, JsonValue

SUMMARY_PREFIX = "[Summary of the conversation so far, written when it was compacted]\n"
_REQUEST = """\
This conversation is about to be compacted: everything above goes, and only what you write now stays. Write the notes \
that whoever continues needs, so that no work is lost and none is done twice:

- what the user wants, with every constraint and preference they stated
- what has been done: files read and changed, commands run, and what came of them
- what is known: facts, decisions and their reasons, names, paths, numbers and errors, word for word
- what remains: the step in progress, and the next ones in order

Write the notes only, as plain text. Call no tool."""
_FORMAT = 1


def _is_summary(item: InputItem) -> bool:
    return (
        isinstance(item, Message)
        and item.role == "user"
        and isinstance(first := next(iter(item.content), None), TextPart)
        and first.text.startswith(SUMMARY_PREFIX)
    )


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


@dataclass(frozen=True, slots=True)
class History:
    """`past` is summarized; `pending` waits for the model's answer and stays as it is."""

    past: tuple[InputItem, ...]
    pending: tuple[InputItem, ...]

    @property
    def has_news(self) -> bool:
        """The model did something since the last summary: compacting again could make it shorter."""
        return any(not isinstance(item, Message) or item.role == "assistant" for item in self.past)


def split_history(items: Sequence[InputItem]) -> History:
    """`pending` is what came in after the model's, or a tool's, last word."""
    end = len(items)
    while end and isinstance(item := items[end - 1], Message) and item.role != "assistant" and not _is_summary(item):
        end -= 1
    return History(tuple(items[:end]), tuple(items[end:]))


def summary_request(request: ResponsesRequest, past: Sequence[InputItem], *, max_tokens: int) -> ResponsesRequest:
    """The same conversation and tools, so that the prompt is cached, and a question that wants text only."""
    return replace(
        request,
        input=(*past, Message("user", (TextPart(_REQUEST),))),
        tool_choice="none",
        thinking=False,
        text_format=TextFormat("text"),
        max_output_tokens=max_tokens,
        top_logprobs=None,
        generate=True,
    )


def compacted(history: History, summary: str, *, kept_characters: int) -> tuple[Message, ...]:
    """What takes the place of the history. `kept_characters`: how much of what the user said stays."""
    kept = _kept(history.past, kept_characters)
    pending = (item for item in history.pending if isinstance(item, Message))
    return (*kept, Message("user", (TextPart(SUMMARY_PREFIX + summary),)), *pending)


def _kept(past: Sequence[InputItem], characters: int) -> list[Message]:
    """Instructions, and the newest of the user's messages that have room together."""
    kept: list[Message] = []
    room = characters
    for item in reversed(past):
        if not isinstance(item, Message) or item.role == "assistant" or _is_summary(item):
            continue
        if item.role == "user":
            text = tuple(part for part in item.content if isinstance(part, TextPart))
            room -= sum(len(part.text) for part in text)
            if room < 0 or not text:
                continue
            item = Message("user", text)
        kept.append(item)
    return kept[::-1]


def encode_messages(messages: Sequence[Message]) -> bytes:
    """For sealing."""
    document: JsonObject = {
        "format": _FORMAT,
        "messages": [{"role": message.role, "content": list(map(_encode_part, message.content))} for message in messages],
    }
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def decode_messages(sealed: bytes) -> tuple[Message, ...] | None:
    """None for something else that was sealed."""
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
