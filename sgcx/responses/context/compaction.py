"""Compaction: a long history gives way to a short one that the model wrote itself.

A `compaction` item stands for everything before it. Sealed in it are the messages that take that place: instructions,
what the user said lately, to the letter; the model's summary of all that happened; and what the model has yet to
answer. A client that keeps the items before it, and one that drops them, go on with the same prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sgcx.responses.items import InputItem, Message, TextPart
from sgcx.responses.request import ResponsesRequest, TextFormat
from sgcx.responses.tools.choice import NO_CALLS

SUMMARY_PREFIX = "[Summary of the conversation so far, written when it was compacted]\n"
_REQUEST = """\
This conversation is about to be compacted: everything above goes, and only what you write now stays. Write the notes \
that whoever continues needs, so that no work is lost and none is done twice:

- what the user wants, with every constraint and preference they stated
- what has been done: files read and changed, commands run, and what came of them
- what is known: facts, decisions and their reasons, names, paths, numbers and errors, word for word
- what remains: the step in progress, and the next ones in order

Write the notes only, as plain text. Call no tool."""


def _is_summary(item: InputItem) -> bool:
    return (
        isinstance(item, Message)
        and item.role == "user"
        and isinstance(first := next(iter(item.content), None), TextPart)
        and first.text.startswith(SUMMARY_PREFIX)
    )


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
        tool_choice=NO_CALLS,
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
            length = sum(map(len, (part.text for part in text)))
            if length > room or not length:
                continue
            room -= length
            item = Message("user", text)
        kept.append(item)
    return kept[::-1]
