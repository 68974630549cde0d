"""The arguments of a function call while the model writes them.

Strings, nearly all of what is written, go out as they come wherever the schema allows a string. Any other value waits
until it is complete, since the schema may mend it, and its key waits with it, since it may be left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, assert_never

from sgcx.responses.arguments.json_string import JsonString
from sgcx.responses.arguments.mending import decode, mended_value, takes_string
from sgcx.responses.wire import JsonObject

_MEMBER = re.compile(r'(\s*,?\s*)("(?:[^"\\]|\\.)*"\s*:\s*)(?=\S)', re.DOTALL)
_END = re.compile(r"\s*}")
_MAX_KEY_CHARACTERS = 1000
"""With the white space around it. What is longer is no key."""
_STRUCTURE = re.compile(r'["{}\[\]]')
_QUOTE_OR_ESCAPE = re.compile(r'["\\]')
_SCALAR_END = re.compile(r"[\s,}\]]")

_State = Literal["start", "member", "string", "value", "verbatim"]


@dataclass(slots=True)
class ValueExtent:
    """Where a JSON value ends, in text that grows. Every character is looked at once."""

    _at: int = field(default=0, init=False)
    _depth: int = field(default=0, init=False)
    _in_string: bool = field(default=False, init=False)

    def find_end(self, text: str) -> int | None:
        """`text`: from the first character of the value on."""
        if text[0] not in '"{[':
            end = _SCALAR_END.search(text, self._at)
            self._at = len(text)
            return None if end is None else end.start()
        while (found := (_QUOTE_OR_ESCAPE if self._in_string else _STRUCTURE).search(text, self._at)) is not None:
            self._at = found.end()
            match found[0]:
                case "\\":
                    self._at += 1
                case '"':
                    self._in_string = not self._in_string
                case "{" | "[":
                    self._depth += 1
                case _:
                    self._depth -= 1
            if self._depth == 0 and not self._in_string:
                return self._at
        self._at = max(self._at, len(text))
        return None


@dataclass(slots=True)
class ArgumentStream:
    """The same text in other pieces gives the same arguments.

    `parameters`: the tool's schema; None for a tool that was not declared, whose arguments stay as they are. So does
    what follows the place where the text stops being JSON.
    """

    parameters: JsonObject | None
    _state: _State = field(default="start", init=False)
    _waiting: str = field(default="", init=False)
    """What has not gone out yet; in `value`, from the value's first character on."""
    _separator: str = field(default="", init=False)
    _key: str = field(default="", init=False)
    """The key of the value that is written now, with its colon; `_separator` stands before it."""
    _has_members: bool = field(default=False, init=False)
    _string: JsonString = field(default_factory=JsonString, init=False)
    _extent: ValueExtent = field(default_factory=ValueExtent, init=False)

    def feed(self, text: str) -> str:
        """What can go out now."""
        self._waiting += text
        pieces: list[str] = []
        while (piece := self._step()) is not None:
            pieces.append(piece)
        return "".join(pieces)

    def finish(self) -> str:
        """What is left. White space is a call without arguments."""
        if self._state == "start":
            return "{}"
        key = self._separator + self._key if self._state == "value" else ""
        return f"{key}{self._string.rest}{self._waiting}"

    def _step(self) -> str | None:
        """What the waiting text decides next. None: it takes more text."""
        if not self._waiting:
            return None
        match self._state:
            case "start":
                return self._begin()
            case "member":
                return self._begin_member()
            case "string":
                return self._continue_string()
            case "value":
                return self._finish_value()
            case "verbatim":
                return self._take(len(self._waiting))
        assert_never(self._state)

    def _take(self, length: int) -> str:
        taken, self._waiting = self._waiting[:length], self._waiting[length:]
        return taken

    def _begin(self) -> str | None:
        begun = self._waiting.lstrip()
        if not begun:
            return None
        if self.parameters is None or begun[0] != "{":
            return self._give_up()
        self._state = "member"
        return self._take(len(self._waiting) - len(begun) + 1)

    def _begin_member(self) -> str | None:
        if end := _END.match(self._waiting):
            return self._take(end.end()) + self._give_up()
        found = _MEMBER.match(self._waiting, 0, _MAX_KEY_CHARACTERS)
        if found is None:
            begun = self._waiting.lstrip()
            may_be_key = len(self._waiting) < _MAX_KEY_CHARACTERS and (not begun or begun[0] in ',"')
            return None if may_be_key else self._give_up()
        self._take(found.end())
        self._separator, self._key = found.groups()
        if self._waiting[0] == '"' and takes_string(self._name(), self.parameters or {}):
            self._state, self._string = "string", JsonString()
            return self._opening() + self._take(1)
        self._state, self._extent = "value", ValueExtent()
        return ""

    def _continue_string(self) -> str:
        piece = self._string.feed(self._take(len(self._waiting)))
        if self._string.closed:
            self._state, self._waiting, self._string = "member", self._string.rest, JsonString()
            return f'{piece}"'
        return piece

    def _finish_value(self) -> str | None:
        end = self._extent.find_end(self._waiting)
        if end is None:
            return None
        self._state = "member"
        mended = mended_value(self._name(), self._take(end), self.parameters or {})
        return "" if mended is None else self._opening() + mended

    def _give_up(self) -> str:
        self._state = "verbatim"
        return ""

    def _name(self) -> str:
        name = decode(self._key.rstrip().removesuffix(":"))
        return name if isinstance(name, str) else ""

    def _opening(self) -> str:
        """Comma and key. What was left out before the first member took its comma with it."""
        separator = self._separator if self._has_members else self._separator.lstrip(", \t\r\n")
        self._has_members = True
        return separator + self._key
