"""Prompts that are many times too long are refused before the whole of them is rendered and tokenized.

That takes seconds for every million characters, and is done for one request at a time: all others would wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from sgcx.errors import EngineError
from sgcx.responses.wire import JsonObject, JsonValue

_LONG_CHARACTERS_PER_TOKEN = 8
"""What has fewer characters per token of the context may fit, and is counted once, as a whole."""
_PIECE_CHARACTERS = 1 << 16
_MARGIN_SHARE = 16
"""One part in so many of the context: where a text is cut into pieces, it has a few tokens more."""


def refuse_far_too_long(
    messages: Sequence[JsonObject], *, context_length: int, count_tokens: Callable[[str], int]
) -> None:
    """Raises `EngineError`. Images are not looked at."""
    texts = [text for message in messages for text in _texts(message)]
    if sum(map(len, texts)) <= context_length * _LONG_CHARACTERS_PER_TOKEN:
        return
    tokens = 0
    for piece in _pieces(texts):
        tokens += count_tokens(piece)
        if tokens > context_length + context_length // _MARGIN_SHARE:
            message = f"The input is longer than the model's context length ({context_length} tokens)."
            raise EngineError(message, code="context_length_exceeded", status=400)


def _pieces(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        for start in range(0, len(text), _PIECE_CHARACTERS):
            yield text[start : start + _PIECE_CHARACTERS]


def _texts(message: JsonObject) -> Iterator[str]:
    yield from _content(message.get("content"))
    yield from _content(message.get("reasoning_content"))
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, Sequence) else ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            yield from _content(function.get("arguments"))


def _content(content: JsonValue) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Sequence):
        for part in content:
            if isinstance(part, Mapping) and isinstance(text := part.get("text"), str):
                yield text
