"""The input of a custom tool, out of the one-property function that stood for it, while the model writes it.

The model writes `{"input": "…"}`; the client wants what the string stands for, and shows a patch while it grows.
Other shapes that models fall into are understood too, but only when they are complete.

Where the tool has a grammar the input is held against it: not every engine enforces one. An input that differs goes
out all the same, for the client to answer; a code fence around it, or a line feed that is missing at its end, is mended
where the grammar leaves no doubt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from sgcx.responses.arguments.json_string import JsonString, unescaped, well_formed
from sgcx.responses.arguments.mending import decode
from sgcx.responses.grammars.matcher import Matcher, matcher_of
from sgcx.responses.tools.declared import CUSTOM_INPUT, CustomTool

_OPENING = re.compile(rf'\s*\{{\s*"{CUSTOM_INPUT}"\s*:\s*"')
_MAX_OPENING_CHARACTERS = 64
"""A longer beginning is of another shape."""
_FENCE = "```"
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
    matcher: Matcher | None = field(init=False)
    """Has read what went out. None: the tool has no grammar, or one that cannot be read."""

    def __post_init__(self) -> None:
        grammar = self.tool.grammar
        self.matcher = None if grammar is None else matcher_of(grammar, self.tool.syntax or "lark")

    def feed(self, text: str) -> str:
        """What can go out now. Never half a character."""
        return self._checked(self._read(text))

    def finish(self) -> str:
        """What is left."""
        left = self._checked(self._left())
        if self.matcher is None or self.matcher.verdict != "differs" or self.matcher.ahead("\n").verdict != "matches":
            return left
        return left + self._checked("\n")

    def _checked(self, piece: str) -> str:
        if self.matcher is not None:
            self.matcher.feed(piece)
        return piece

    def _read(self, text: str) -> str:
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

    def _left(self) -> str:
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
        """What may be wrapped in something is taken out of it when it is complete; all else streams."""
        self._waiting += unescaped(piece)
        if self._wants_patch() and not self._waiting.startswith(_PATCH_BEGIN):
            return ""
        if self._waiting[: len(_FENCE)] == _FENCE[: len(self._waiting)] and self._wants_no_fence():
            return ""
        head, self._waiting, self._state = self._waiting, "", "streaming"
        return head

    def _wants_patch(self) -> bool:
        return _PATCH_BEGIN in (self.tool.grammar or "")

    def _wants_no_fence(self) -> bool:
        return self.matcher is not None and self.matcher.ahead(_FENCE).stuck

    def _unwrapped(self, text: str) -> str:
        if self._wants_patch() and not text.startswith(_PATCH_BEGIN):
            patch = _PATCH.search(text)  # out of code fences or a heredoc
            return patch.group(0) if patch else text
        if text.startswith(_FENCE) and self._wants_no_fence():
            return self._unfenced(text)
        return text

    def _unfenced(self, text: str) -> str:
        """What the fences enclose, if that is what the grammar wants."""
        assert self.matcher is not None
        _, _, rest = text.rstrip().partition("\n")
        enclosed = rest.removesuffix(_FENCE)
        candidates = (enclosed, enclosed.removesuffix("\n")) if len(enclosed) < len(rest) else ()
        matching = (candidate for candidate in candidates if self.matcher.ahead(candidate).verdict == "matches")
        return next(matching, text)


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
