"""Regular expressions, read into grammar expressions. A pattern stands for the texts that it matches as a whole.

The subset: literals, `.`, classes and their ranges, `\\d \\w \\s` (ASCII) and their opposites, the escapes of
characters, groups (captured or not), `|`, and `* + ? {m,n}`, lazy or not, which makes no difference to a whole
match. `^` and `$` may enclose the pattern. Outside it: look-around, back references, word boundaries, possessive
quantifiers, Unicode properties, and all flags but `i` and `s`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sgcx.responses.grammars.expressions import (
    Character,
    Choice,
    Expression,
    Ranges,
    Repetition,
    Sequence,
    UnsupportedGrammar,
    both_cases,
    complement,
    union,
)

MOST_REPETITIONS = 1000
_DEEPEST = 40

_CLASSES: dict[str, Ranges] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x09, 0x0D), (0x20, 0x20)),
}
_CONTROLS = {"n": 0x0A, "r": 0x0D, "t": 0x09, "f": 0x0C, "v": 0x0B, "0": 0x00}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_COUNT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_LINE_FEED: Ranges = ((0x0A, 0x0A),)


def parse_regex(pattern: str, flags: str = "") -> Expression:
    """Raises `UnsupportedGrammar`."""
    if unknown := set(flags) - set("isu"):
        raise UnsupportedGrammar(f"the flag {min(unknown)!r} of /{pattern}/")
    bare = pattern.removeprefix("^")
    if bare.endswith("$") and not bare.endswith("\\$"):
        bare = bare[:-1]
    expression = _Parser(bare, ignore_case="i" in flags, dot_all="s" in flags).parse()
    if bare != pattern and isinstance(expression, Choice):
        raise UnsupportedGrammar(f"an anchor in one alternative of /{pattern}/")
    return expression


@dataclass(slots=True)
class _Parser:
    pattern: str
    ignore_case: bool
    dot_all: bool
    _at: int = field(default=0, init=False)
    _depth: int = field(default=0, init=False)

    def parse(self) -> Expression:
        expression = self._alternatives()
        if self._at < len(self.pattern):
            raise self._unsupported("an unmatched `)`")
        return expression

    def _alternatives(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._unsupported("too many nested groups")
        found = [self._sequence()]
        while self._taken("|"):
            found.append(self._sequence())
        self._depth -= 1
        return found[0] if len(found) == 1 else Choice(tuple(found))

    def _sequence(self) -> Expression:
        elements: list[Expression] = []
        while self._at < len(self.pattern) and self._next not in "|)":
            elements.append(self._repeated(self._atom()))
        return elements[0] if len(elements) == 1 else Sequence(tuple(elements))

    def _repeated(self, element: Expression) -> Expression:
        match self._next:
            case "*" | "+" | "?" as sign:
                self._at += 1
                least, most = (int(sign == "+"), 1 if sign == "?" else None)
            case _ if (count := _COUNT.match(self.pattern, self._at)) is not None:
                self._at = count.end()
                least = _bounded(count[1])
                most = least if count[2] is None else (_bounded(count[3]) if count[3] else None)
            case _:
                return element
        self._taken("?")
        repeated_again = self._next in ("*", "+", "?") or _COUNT.match(self.pattern, self._at) is not None
        if repeated_again or (most is not None and most < least):
            raise self._unsupported("a quantifier")
        return Repetition(element, least, most)

    def _atom(self) -> Expression:
        match self._take():
            case "(":
                return self._group()
            case "[":
                return Character(self._cased(self._class()))
            case ".":
                return Character(complement(() if self.dot_all else _LINE_FEED))
            case "\\":
                return Character(self._cased(self._escape()))
            case "*" | "+" | "?" | "^" | "$" as sign:
                raise self._unsupported(f"`{sign}`")
            case letter:
                return Character(self._cased(_only(ord(letter))))

    def _group(self) -> Expression:
        if self._taken("?"):
            name = re.compile(r":|P?<[A-Za-z_]\w*>").match(self.pattern, self._at)
            if name is None:
                raise self._unsupported("a group with `(?`")
            self._at = name.end()
        expression = self._alternatives()
        if not self._taken(")"):
            raise self._unsupported("an unmatched `(`")
        return expression

    def _class(self) -> Ranges:
        negated = self._taken("^")
        ranges: list[tuple[int, int]] = []
        first = True
        while first or self._next != "]":
            first = False
            low = self._class_member()
            if self._next == "-" and self.pattern[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                low = self._range(low, self._class_member())
            ranges += low
        self._at += 1
        found = complement(union(ranges)) if negated else union(ranges)
        if not found:
            raise self._unsupported("a class without members")
        return found

    def _class_member(self) -> Ranges:
        letter = self._take()
        if letter == "[" and self._next == ":":
            raise self._unsupported("a named class")
        return self._escape() if letter == "\\" else _only(ord(letter))

    def _range(self, low: Ranges, high: Ranges) -> Ranges:
        (first, first_end), (last, last_end) = low[0], high[0]
        if first != first_end or last != last_end or first > last:
            raise self._unsupported("a range in a class")
        return ((first, last),)

    def _escape(self) -> Ranges:
        letter = self._take()
        if letter.lower() in _CLASSES:
            ranges = _CLASSES[letter.lower()]
            return ranges if letter.islower() else complement(ranges)
        if letter in _CONTROLS:
            return _only(_CONTROLS[letter])
        if letter in _HEX_DIGITS:
            digits = self.pattern[self._at : self._at + _HEX_DIGITS[letter]]
            self._at += len(digits)
            if not re.fullmatch(f"[0-9A-Fa-f]{{{_HEX_DIGITS[letter]}}}", digits) or int(digits, 16) > 0x10FFFF:
                raise self._unsupported(f"`\\{letter}`")
            return _only(int(digits, 16))
        if letter.isalnum():
            raise self._unsupported(f"`\\{letter}`")
        return _only(ord(letter))

    def _cased(self, ranges: Ranges) -> Ranges:
        return both_cases(ranges) if self.ignore_case else ranges

    # characters

    @property
    def _next(self) -> str:
        """Empty at the end."""
        return self.pattern[self._at : self._at + 1]

    def _take(self) -> str:
        if not self._next:
            raise self._unsupported("an end that comes too early")
        self._at += 1
        return self.pattern[self._at - 1]

    def _taken(self, letter: str) -> bool:
        if self._next != letter:
            return False
        self._at += 1
        return True

    def _unsupported(self, what: str) -> UnsupportedGrammar:
        return UnsupportedGrammar(f"{what} in /{self.pattern}/")


def _only(code: int) -> Ranges:
    return ((code, code),)


def _bounded(digits: str) -> int:
    count = int(digits[:5])
    if count > MOST_REPETITIONS:
        raise UnsupportedGrammar(f"more than {MOST_REPETITIONS} repetitions")
    return count
