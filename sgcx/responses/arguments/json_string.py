"""The inside of a JSON string that arrives in pieces.

Models break lines in the middle of strings, write regular expressions without doubling their backslashes, and halve
characters. Strict decoders refuse all of that; what comes out of here, none does.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

_HEX = "[0-9a-fA-F]"
_HIGH, _LOW = rf"\\u[dD][89abAB]{_HEX}{{2}}", rf"\\u[dD][c-fC-F]{_HEX}{{2}}"
_COMPLETE = re.compile(rf'(?:[^"\\]+|{_HIGH}{_LOW}|\\u(?![dD][89abAB]){_HEX}{{4}}|\\[^u])*')
_BEGINNING = re.compile(rf"\\(?:u{_HEX}{{0,3}})?|{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F]{_HEX}?)?)?)?)?")
"""Of an escape that the next piece may complete."""
_SPECIAL = re.compile(r'[\x00-\x1f"\\]')
_ESCAPE = re.compile(rf"({_HIGH}{_LOW})|({_LOW})|(\\u{_HEX}{{4}}|\\[\"\\/bfnrt])|([\x00-\x1f])|\\")
_REPLACEMENT = r"\ufffd"
_HIGH_LENGTH = len(r"\ud83d")


@dataclass(slots=True)
class JsonString:
    """From behind the opening quote on."""

    rest: str = field(default="", init=False)
    """Once it is closed, what stands behind its closing quote; before that, an escape that is not complete."""
    closed: bool = field(default=False, init=False)

    def feed(self, text: str) -> str:
        """What is complete, still escaped: between quotes, strict JSON."""
        if not self.rest and _SPECIAL.search(text) is None:
            return text
        self.rest += text
        pieces: list[str] = []
        while self.rest and not self.closed:
            complete = _COMPLETE.match(self.rest)
            assert complete is not None  # it may be empty
            pieces.append(_ESCAPE.sub(_strict, complete[0]))
            self.rest = self.rest[complete.end() :]
            if self.rest.startswith('"'):
                self.closed, self.rest = True, self.rest[1:]
            elif _BEGINNING.fullmatch(self.rest):
                break
            elif self.rest:
                pieces.append(self._broken_escape())
        return "".join(pieces)

    def _broken_escape(self) -> str:
        """Half of a surrogate pair, or a backslash that was meant as one."""
        half = re.match(_HIGH, self.rest)
        self.rest = self.rest[_HIGH_LENGTH if half else 1 :]
        return _REPLACEMENT if half else r"\\"


def unescaped(piece: str) -> str:
    """The characters that a piece from `JsonString` stands for."""
    decoded = json.loads(f'"{piece}"')
    assert isinstance(decoded, str)
    return decoded


def well_formed(text: str) -> str:
    """Half of an escaped surrogate pair decodes to what no UTF-8 can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _strict(escape: re.Match[str]) -> str:
    pair, half, valid, control = escape.groups()
    if half:
        return _REPLACEMENT
    if control:
        return json.dumps(control)[1:-1]
    return pair or valid or r"\\"
