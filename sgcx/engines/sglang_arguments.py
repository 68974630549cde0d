"""How the arguments of past tool calls reach SGLang's chat templates as the model wrote them.

SGLang decodes them, and templates print the object anew, with other white space: not what the prefix cache holds.
Arguments encoded once more are decoded to the string that they were, which templates print as it is. From 0.5.16 on
SGLang refuses what does not decode to an object.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson
from packaging.version import InvalidVersion, Version

_FIRST_THAT_REFUSES = Version("0.5.16")


def decodes_any_arguments(sglang_version: str) -> bool:
    """False also for what is no version: the plain string is right everywhere."""
    try:
        return Version(sglang_version) < _FIRST_THAT_REFUSES
    except InvalidVersion:
        return False


def decode_any_arguments() -> None:
    """Lets this process's SGLang decode arguments to a string, as it did before 0.5.16."""
    from sglang.srt.entrypoints.openai import serving_chat

    strict: Callable[[str], object] | None = getattr(serving_chat, "parse_tool_call_arguments", None)
    if strict is None:
        return

    def decode(arguments: str) -> object:
        try:
            decoded: object = orjson.loads(arguments)
        except orjson.JSONDecodeError:
            decoded = None
        return decoded if isinstance(decoded, str) else strict(arguments)

    serving_chat.parse_tool_call_arguments = decode
