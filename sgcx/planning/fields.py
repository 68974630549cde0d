"""Reads typed fields out of a parsed TOML or JSON table.

Every error names the file, the dotted key and what is allowed there. `finish()` refuses keys that nobody asked for,
so a misspelt key is an error and never a silent default.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from sgcx.errors import UserError


@dataclass(slots=True)
class Fields:
    table: Mapping[str, object]
    origin: str
    prefix: str = ""
    _known: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, value: object, origin: str, prefix: str = "") -> Fields:
        if not isinstance(value, dict):
            where = f"`{prefix.rstrip('.')}`" if prefix else "the file"
            raise UserError(f"{origin}: {where} must be a table, not {kind_of(value)}")
        return cls({str(key): item for key, item in value.items()}, origin, prefix)

    def has(self, key: str) -> bool:
        self._known.add(key)
        return self.table.get(key) is not None

    def section(self, key: str) -> Fields:
        return Fields.of(self._take(key, "a table"), self.origin, f"{self.prefix}{key}.")

    def tables(self, key: str) -> tuple[Fields, ...]:
        items = self._take(key, "a list of tables")
        if not isinstance(items, list):
            raise self.error(key, "a list of tables", items)
        return tuple(Fields.of(item, self.origin, f"{self.prefix}{key}[{index}].") for index, item in enumerate(items))

    def text(self, key: str) -> str:
        value = self._take(key, "a text")
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "a text that is not empty", value)
        return value

    def text_or_none(self, key: str) -> str | None:
        return self.text(key) if self.has(key) else None

    def texts(self, key: str) -> tuple[str, ...]:
        items = self._take(key, "a list of texts")
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise self.error(key, "a list of texts", items)
        return tuple(str(item) for item in items)

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self._take(key, one_of(allowed))
        if value not in allowed:
            raise self.error(key, one_of(allowed), value)
        return str(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        if default is not None and not self.has(key):
            return default
        value = self._take(key, "true or false")
        if not isinstance(value, bool):
            raise self.error(key, "true or false", value)
        return value

    def whole_number(self, key: str, *, at_least: int = 0) -> int:
        wanted = f"a whole number, at least {at_least}"
        value = self._take(key, wanted)
        if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
            raise self.error(key, wanted, value)
        return value

    def number(self, key: str, *, at_least: float, at_most: float) -> float:
        wanted = f"a number from {at_least:g} to {at_most:g}"
        value = self._take(key, wanted)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not at_least <= value <= at_most:
            raise self.error(key, wanted, value)
        return float(value)

    def number_pair(self, key: str) -> tuple[int, int]:
        """Two whole numbers, written `[9, 0]`."""
        wanted = "a list of two whole numbers"
        value = self._take(key, wanted)
        if not isinstance(value, list) or len(value) != 2 or not all(_is_whole(item) for item in value):
            raise self.error(key, wanted, value)
        first, second = value
        return int(first), int(second)

    def finish(self) -> None:
        for key in self.table:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, n=1)
                hint = f"Did you mean `{self.prefix}{near[0]}`?" if near else self._allowed_keys()
                raise UserError(f"{self.origin}: unknown key `{self.prefix}{key}`", hint=hint)

    def error(self, key: str, wanted: str, value: object) -> UserError:
        return UserError(f"{self.origin}: `{self.prefix}{key}` must be {wanted}, not {kind_of(value)}")

    def _allowed_keys(self) -> str:
        return f"Keys allowed here: {', '.join(sorted(self._known))}"

    def _take(self, key: str, wanted: str) -> object:
        self._known.add(key)
        value = self.table.get(key)
        if value is None:
            raise UserError(f"{self.origin}: `{self.prefix}{key}` is missing", hint=f"It must be {wanted}")
        return value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def one_of(allowed: tuple[object, ...]) -> str:
    return "one of " + ", ".join(f'"{item}"' for item in allowed)


def kind_of(value: object) -> str:
    """For an error that says what stands where something else belongs."""
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return repr(value)
        case dict():
            return "a table"
        case list():
            return "a list"
        case None:
            return "null"
        case _:
            return type(value).__name__
