"""References of a JSON schema that lead in circles: `{"$ref": "#"}` stands for itself.

No value matches such a schema, and a decoder that is bound to it comes to a place where no token is legal. Engines
end there, for all whom they serve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

from sgcx.responses.wire import JsonObject, JsonValue

_MOST_ROUNDS = 100
"""References that lead on to one further up, so often in a row, are taken for a circle."""


def circular_reference(schema: JsonObject) -> str | None:
    """A `$ref` in `schema` from which no way leads to anything but references. None: there is none."""
    circling = {id(node): node for node in _objects(schema) if any(_ways_on(node, schema))}
    for _ in range(_MOST_ROUNDS):
        before = len(circling)
        for key, node in reversed(tuple(circling.items())):
            if all(any(id(way) not in circling for way in ways) for ways in _ways_on(node, schema)):
                del circling[key]
        if len(circling) == before:
            break
    return next((ref for node in circling.values() if isinstance(ref := node.get("$ref"), str)), None)


def _objects(schema: JsonObject) -> Iterator[JsonObject]:
    waiting: list[JsonValue] = [schema]
    while waiting:
        match waiting.pop():
            case Mapping() as node:
                yield node
                waiting += node.values()
            case list() as elements:
                waiting += elements


def _ways_on(node: JsonObject, schema: JsonObject) -> Iterator[Sequence[JsonValue]]:
    """The schemas that `node` hands on to, one of each group at least."""
    reference = node.get("$ref")
    if isinstance(reference, str):
        yield (_target(reference, schema),)
    for keyword in ("anyOf", "oneOf"):
        alternatives = node.get(keyword)
        if isinstance(alternatives, list) and alternatives:
            yield alternatives
    parts = node.get("allOf")
    if isinstance(parts, list):
        yield from ((part,) for part in parts)


def _target(reference: str, schema: JsonObject) -> JsonValue:
    """None for what is not in this schema."""
    start, *steps = reference.split("/")
    if start != "#":
        return None
    node: JsonValue = schema
    for step in steps:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        match node:
            case Mapping():
                node = node.get(name)
            case list() if name.isdecimal() and int(name) < len(node):
                node = node[int(name)]
            case _:
                return None
    return node
