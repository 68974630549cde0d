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
_UNQUOTED = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_HALF = re.compile(_HIGH)
_REPLACEMENT = r"\ufffd"


@dataclass(slots=True)
class JsonString:
    """From behind the opening quote on. No character is copied more than a few times, however text arrives."""

    rest: str = field(default="", init=False)
    """An escape that is not complete."""
    closed: bool = field(default=False, init=False)
    end: int = field(default=0, init=False)
    """Once it is closed: where the text that closed it goes on behind the closing quote."""

    def feed(self, text: str, start: int = 0) -> str:
        """What is complete with `text` from `start` on, still escaped: between quotes, strict JSON."""
        if self.closed:
            return ""
        if not self.rest and _SPECIAL.search(text, start) is None:
            return text[start:]
        quote = self._closing_quote(text, start)
        self.closed, self.end = quote < len(text), quote + 1
        return self._completed(self.rest + text[start:quote])

    def _closing_quote(self, text: str, start: int) -> int:
        """The end of `text` where there is none."""
        inside = _UNQUOTED.match(text, start + self.rest.endswith("\\"))
        assert inside is not None  # it may be empty
        return inside.end() if text[inside.end() : inside.end() + 1] == '"' else len(text)

    def _completed(self, text: str) -> str:
        pieces: list[str] = []
        at = 0
        while at < len(text):
            complete = _COMPLETE.match(text, at)
            assert complete is not None  # it may be empty
            pieces.append(_ESCAPE.sub(_strict, complete[0]))
            at = complete.end()
            if at == len(text) or (not self.closed and _BEGINNING.fullmatch(text, at)):
                break
            # Half of a surrogate pair, or a backslash that was meant as one.
            half = _HALF.match(text, at)
            pieces.append(_REPLACEMENT if half else r"\\")
            at = half.end() if half else at + 1
        self.rest = text[at:]
        return "".join(pieces)


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
