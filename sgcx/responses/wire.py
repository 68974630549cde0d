"""JSON as Python sees it. Everything that crosses the wire is one of these, never `Any`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
JsonObject: TypeAlias = Mapping[str, JsonValue]


def objects(value: JsonValue) -> Iterable[JsonObject]:
    """The objects of an array, if it is one."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return ()
    return (element for element in value if isinstance(element, Mapping))
