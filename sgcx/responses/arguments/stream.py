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
    """Where a JSON value ends that arrives in pieces. Every character is looked at once."""

    _kind: Literal["unknown", "scalar", "string or nested"] = field(default="unknown", init=False)
    _depth: int = field(default=0, init=False)
    _in_string: bool = field(default=False, init=False)
    _escaped: bool = field(default=False, init=False)
    """The piece before ended with a backslash."""

    def find_end(self, text: str, start: int) -> int | None:
        """The index behind the value's last character; None: it goes on. `text` from `start` on is the next piece."""
        if self._kind == "unknown":
            self._kind = "string or nested" if text[start] in '"{[' else "scalar"
        if self._kind == "scalar":
            end = _SCALAR_END.search(text, start)
            return None if end is None else end.start()
        at = start + self._escaped
        self._escaped = False
        while (found := (_QUOTE_OR_ESCAPE if self._in_string else _STRUCTURE).search(text, at)) is not None:
            at = found.end()
            match found[0]:
                case "\\":
                    self._escaped = at == len(text)
                    at += 1
                case '"':
                    self._in_string = not self._in_string
                case "{" | "[":
                    self._depth += 1
                case _:
                    self._depth -= 1
            if self._depth == 0 and not self._in_string:
                return at
        return None


@dataclass(slots=True)
class ArgumentStream:
    """The same text in other pieces gives the same arguments.

    `parameters`: the tool's schema; None for a tool that was not declared, whose arguments stay as they are. So does
    what follows the place where the text stops being JSON.
    """

    parameters: JsonObject | None
    _state: _State = field(default="start", init=False)
    _text: str = field(default="", init=False)
    _at: int = field(default=0, init=False)
    """What stands in `_text` from here on has not been looked at, or did not suffice."""
    _separator: str = field(default="", init=False)
    _key: str = field(default="", init=False)
    """The key of the value that is written now, with its colon; `_separator` stands before it."""
    _has_members: bool = field(default=False, init=False)
    _string: JsonString = field(default_factory=JsonString, init=False)
    _extent: ValueExtent = field(default_factory=ValueExtent, init=False)
    _value: list[str] = field(default_factory=list, init=False)
    """What there is of the value that is written now, unless it is a string that goes out as it comes."""

    def feed(self, text: str) -> str:
        """What can go out now."""
        self._text, self._at = self._text[self._at :] + text, 0
        pieces: list[str] = []
        while (piece := self._step()) is not None:
            pieces.append(piece)
        return "".join(pieces)

    def finish(self) -> str:
        """What is left. White space is a call without arguments."""
        if self._state == "start":
            return "{}"
        begun = (self._separator, self._key, *self._value) if self._state == "value" else (self._string.rest,)
        return "".join((*begun, self._text[self._at :]))

    def _step(self) -> str | None:
        """What the waiting text decides next. None: it takes more text."""
        if self._at == len(self._text):
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
                return self._take(len(self._text))
        assert_never(self._state)

    def _take(self, end: int) -> str:
        taken, self._at = self._text[self._at : end], end
        return taken

    def _begin(self) -> str | None:
        begun = self._text[self._at :].lstrip()
        if not begun:
            return None
        if self.parameters is None or begun[0] != "{":
            return self._give_up()
        self._state = "member"
        return self._take(len(self._text) - len(begun) + 1)

    def _begin_member(self) -> str | None:
        if end := _END.match(self._text, self._at):
            return self._take(end.end()) + self._give_up()
        limit = self._at + _MAX_KEY_CHARACTERS
        found = _MEMBER.match(self._text, self._at, limit)
        if found is None:
            begun = self._text[self._at : limit].lstrip()
            may_be_key = len(self._text) < limit and (not begun or begun[0] in ',"')
            return None if may_be_key else self._give_up()
        self._at = found.end()
        self._separator, self._key = found.groups()
        if self._text[self._at] == '"' and takes_string(self._name(), self.parameters or {}):
            self._state, self._string = "string", JsonString()
            return self._opening() + self._take(self._at + 1)
        self._state, self._extent, self._value = "value", ValueExtent(), []
        return ""

    def _continue_string(self) -> str:
        piece = self._string.feed(self._text, self._at)
        if not self._string.closed:
            self._at = len(self._text)
            return piece
        self._state, self._at, self._string = "member", self._string.end, JsonString()
        return f'{piece}"'

    def _finish_value(self) -> str | None:
        end = self._extent.find_end(self._text, self._at)
        self._value.append(self._take(len(self._text) if end is None else end))
        if end is None:
            return None
        self._state = "member"
        mended = mended_value(self._name(), "".join(self._value), self.parameters or {})
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
