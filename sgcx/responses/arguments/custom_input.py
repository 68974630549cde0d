"""The input of a custom tool, out of the one-property function that stood for it, while the model writes it.

The model writes `{"input": "…"}`; the client wants what the string stands for, and shows a patch while it grows.
Other shapes that models fall into are understood too, but only when they are complete.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from sgcx.responses.arguments.json_string import JsonString, unescaped, well_formed
from sgcx.responses.arguments.mending import decode
from sgcx.responses.tools.declared import CUSTOM_INPUT, CustomTool

_OPENING = re.compile(rf'\s*\{{\s*"{CUSTOM_INPUT}"\s*:\s*"')
_MAX_OPENING_CHARACTERS = 64
"""A longer beginning is of another shape."""
_PATCH_BEGIN = "*** Begin Patch"
_PATCH = re.compile(r"^\*\*\* Begin Patch$.*^\*\*\* End Patch$", re.MULTILINE | re.DOTALL)

_State = Literal["opening", "head", "streaming", "whole"]


@dataclass(slots=True)
class CustomInputStream:
    """The same text in other pieces gives the same input. What follows the string's end is no part of it."""

    tool: CustomTool
    _state: _State = field(default="opening", init=False)
    _waiting: str = field(default="", init=False)
    """What has not gone out yet: as written in `opening` and `whole`, unescaped in `head`."""
    _string: JsonString = field(default_factory=JsonString, init=False)

    def feed(self, text: str) -> str:
        """What can go out now. Never half a character."""
        match self._state:
            case "opening":
                self._waiting += text
                return self._open()
            case "head":
                return self._decide(self._string.feed(text))
            case "streaming":
                return "" if self._string.closed else unescaped(self._string.feed(text))
            case "whole":
                self._waiting += text
                return ""
        assert_never(self._state)

    def finish(self) -> str:
        """What is left."""
        match self._state:
            case "opening" | "whole":
                return self._unwrapped(_found_input(self._waiting))
            case "head":
                return self._unwrapped(self._waiting)
            case "streaming":
                return ""
        assert_never(self._state)

    def _open(self) -> str:
        opening = _OPENING.match(self._waiting[:_MAX_OPENING_CHARACTERS])
        if opening is None:
            if len(self._waiting) >= _MAX_OPENING_CHARACTERS:
                self._state = "whole"
            return ""
        content, self._waiting = self._waiting[opening.end() :], ""
        self._state = "head"
        return self._decide(self._string.feed(content))

    def _decide(self, piece: str) -> str:
        """A patch may be wrapped in something, and is taken out of it when it is complete; all else streams."""
        self._waiting += unescaped(piece)
        if self._wants_patch() and not self._waiting.startswith(_PATCH_BEGIN):
            return ""
        head, self._waiting, self._state = self._waiting, "", "streaming"
        return head

    def _wants_patch(self) -> bool:
        return _PATCH_BEGIN in (self.tool.grammar or "")

    def _unwrapped(self, text: str) -> str:
        """A patch out of code fences or a heredoc, where the tool's grammar wants the bare patch."""
        if not self._wants_patch() or text.startswith(_PATCH_BEGIN):
            return text
        patch = _PATCH.search(text)
        return patch.group(0) if patch else text


def _found_input(text: str) -> str:
    """In what is not `{"input": "…"}`: another object with one string, a bare string, or plain text."""
    decoded = decode(text)
    if isinstance(decoded, str):
        return well_formed(decoded)
    strings: list[str] = []
    if isinstance(decoded, Mapping):
        wanted = decoded.get(CUSTOM_INPUT)
        strings = [value for value in decoded.values() if isinstance(value, str)]
        strings = [wanted] if isinstance(wanted, str) else strings
    return well_formed(strings[0]) if len(strings) == 1 else text
