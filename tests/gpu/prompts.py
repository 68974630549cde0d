"""Requests for a given number of tokens, whose prompts say nothing."""

from __future__ import annotations

import orjson
from serving import MODEL

from sgcx.bench.wire import Protocol

OUTPUT_TOKENS = 256
_CHARACTERS_PER_TOKEN = 3.2


def bodies(
    protocol: Protocol, prompt_tokens: int, count: int, *, salt: str, output_tokens: int = OUTPUT_TOKENS
) -> list[bytes]:
    """Each begins differently, so that no prompt is found in the cache."""
    return [_body(protocol, f"{salt} {index}\n" + text(prompt_tokens), output_tokens) for index in range(count)]


def text(prompt_tokens: int) -> str:
    line = "def area(width, height):\n    return width * height\n"
    return line * max(1, int(prompt_tokens * _CHARACTERS_PER_TOKEN / len(line)))


def _body(protocol: Protocol, prompt: str, output_tokens: int) -> bytes:
    match protocol:
        case "responses":
            return orjson.dumps(
                {
                    "model": MODEL, "stream": True, "store": False, "input": prompt, "temperature": 0,
                    "max_output_tokens": output_tokens, "reasoning": {"effort": "medium"},
                }
            )  # fmt: skip
        case "chat":
            return orjson.dumps(
                {
                    "model": MODEL, "stream": True, "stream_options": {"include_usage": True}, "temperature": 0,
                    "messages": [{"role": "user", "content": prompt}], "max_tokens": output_tokens,
                }
            )  # fmt: skip
