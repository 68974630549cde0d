"""Typed reads from decoded JSON. Every error names the path of the field, as `input[3].content[0].text`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from sgcx.errors import InvalidRequest
from sgcx.responses.wire import JsonObject, JsonValue


def _kind(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case Mapping():
            return "an object"
        case _:
            return "an array"


class Node(NamedTuple):
    """A JSON value and where it stands in the request.

    A tuple: there is one for every field that is asked for, and a frozen dataclass takes several times as long to make.
    """

    value: JsonValue
    path: str

    def invalid(self, expected: str) -> InvalidRequest:
        where = self.path or "the request body"
        return InvalidRequest(f"`{where}` must be {expected}, not {_kind(self.value)}", param=self.path or None)

    def get(self, key: str) -> Node:
        """The field `key`; null where it is absent. Only on objects."""
        return Node(self.as_object().get(key), f"{self.path}.{key}" if self.path else key)

    def as_object(self) -> JsonObject:
        if not isinstance(self.value, (dict, Mapping)):  # decoders make dicts, and whether it is one costs less to ask
            raise self.invalid("an object")
        return self.value

    def items(self) -> Iterator[Node]:
        """The elements of an array; none where it is null."""
        if self.value is None:
            return
        if isinstance(self.value, str) or not isinstance(self.value, Sequence):
            raise self.invalid("an array")
        for index, element in enumerate(self.value):
            yield Node(element, f"{self.path}[{index}]")

    def string(self) -> str:
        if not isinstance(self.value, str):
            raise self.invalid("a string")
        return self.value

    def optional_string(self) -> str | None:
        return None if self.value is None else self.string()

    def boolean(self, default: bool) -> bool:
        if self.value is None:
            return default
        if not isinstance(self.value, bool):
            raise self.invalid("a boolean")
        return self.value

    def optional_number(self, minimum: float, maximum: float) -> float | None:
        if self.value is None:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            raise self.invalid("a number")
        if not minimum <= self.value <= maximum:
            raise InvalidRequest(
                f"`{self.path}` must be from {minimum:g} to {maximum:g}, not {self.value:g}", param=self.path
            )
        return float(self.value)

    def optional_integer(self, minimum: int, maximum: int | None = None) -> int | None:
        if self.value is None:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.invalid("an integer")
        if self.value < minimum:
            raise InvalidRequest(f"`{self.path}` must be at least {minimum}, not {self.value}", param=self.path)
        if maximum is not None and self.value > maximum:
            raise InvalidRequest(f"`{self.path}` must be at most {maximum}, not {self.value}", param=self.path)
        return self.value

    def is_string(self) -> bool:
        return isinstance(self.value, str)

    def is_null(self) -> bool:
        return self.value is None


def body_node(decoded: object) -> Node:
    """Enter the typed world: `decoded` is what a JSON decoder returned."""
    node = Node(cast(JsonValue, decoded), "")
    node.as_object()
    return node
