"""Tool arguments as the model wrote them → as the client can use them.

Clients decode arguments strictly: a number in quotes, `1000.0` for an integer or a null for an absent
optional field fails there and costs a turn. What the schema decides without doubt is mended here; all else is
left to the last byte, because the client replays it and the prefix cache wants it unchanged.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence

import orjson

from sgcx.responses.arguments.json_string import well_formed
from sgcx.responses.wire import JsonObject, JsonValue


def takes_string(name: str, parameters: JsonObject) -> bool:
    """A string stays as it is there."""
    types = _types(_declared(name, parameters))
    return not types or "string" in types


def mended_value(name: str, written: str, parameters: JsonObject) -> str | None:
    """A property's value, complete, as it should be sent; None: not at all."""
    value = decode(written)
    if value is None and written != "null":
        return written
    mended = _mend_object({name: value}, parameters)
    if name not in mended:
        return None
    if json.dumps(mended[name]) == json.dumps(value) and _is_strict_json(written):
        return written
    return well_formed(json.dumps(mended[name], ensure_ascii=False))


def finish_object(text: str, parameters: JsonObject) -> JsonObject | None:
    """The arguments decoded; None where they are no JSON object."""
    decoded = decode(text)
    return _mend_object(decoded, parameters) if isinstance(decoded, Mapping) else None


def sendable(arguments: JsonObject) -> JsonObject | None:
    """`arguments` as an event can hold them, with whole characters; None where none can.

    Python's JSON takes numbers and depths that the wire's does not, and models write them.
    """
    try:
        held: JsonObject = orjson.loads(well_formed(json.dumps(arguments, ensure_ascii=False)))
        orjson.dumps(held)
    except (TypeError, ValueError, RecursionError):
        return None
    return held


def declared_only(arguments: JsonObject, parameters: JsonObject) -> JsonObject:
    """The arguments that the schema declares, where they have the declared type."""
    properties = parameters.get("properties")
    declared = properties if isinstance(properties, Mapping) else {}
    return {name: value for name, value in arguments.items() if _conforms(value, declared.get(name))}


def strings(value: JsonValue) -> list[str]:
    """The strings of an array, if it is one."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return []
    return [element for element in value if isinstance(element, str)]


def _conforms(value: JsonValue, schema: JsonValue) -> bool:
    if not isinstance(schema, Mapping):
        return False
    match schema.get("type"):
        case "string":
            allowed = schema.get("enum")
            return isinstance(value, str) and (not isinstance(allowed, Sequence) or value in allowed)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "array":
            return isinstance(value, list) and all(_conforms(element, schema.get("items")) for element in value)
        case "object":
            entries = schema.get("additionalProperties")
            return isinstance(value, Mapping) and all(_conforms(entry, entries) for entry in value.values())
        case _:
            return False


def decode(text: str) -> JsonValue:
    """None for what is no JSON. Models write line breaks into strings as they are; that much is understood."""
    try:
        decoded: JsonValue = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return decoded


def _is_strict_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _mend_object(value: JsonObject, schema: JsonObject) -> dict[str, JsonValue]:
    required = schema.get("required")
    required_names = required if isinstance(required, Sequence) else ()
    mended: dict[str, JsonValue] = {}
    for name, entry in value.items():
        declared = _declared(name, schema)
        types = _types(declared)
        if entry is None and types and "null" not in types and name not in required_names:
            continue
        mended[name] = _mend(entry, declared, types)
    return mended


def _declared(name: str, schema: JsonObject) -> JsonObject:
    """The schema of a property; one that says nothing where there is none."""
    properties = schema.get("properties")
    declared = properties.get(name) if isinstance(properties, Mapping) else None
    return declared if isinstance(declared, Mapping) else {}


def _types(schema: JsonObject) -> frozenset[str]:
    declared = schema.get("type")
    if isinstance(declared, str):
        return frozenset({declared})
    if isinstance(declared, Sequence):
        return frozenset(name for name in declared if isinstance(name, str))
    return frozenset()


def _mend(value: JsonValue, schema: JsonObject, types: frozenset[str]) -> JsonValue:
    match value:
        case Mapping() if "object" in types:
            return _mend_object(value, schema)
        case str() if "string" not in types:
            return _from_string(value, types)
        case bool():
            return value
        case float() if types & {"integer", "number"} and value.is_integer():
            return int(value)
        case str() | int() | float() | None | Mapping():
            return value
        case _:
            return _mend_array(value, schema, types)


def _from_string(value: str, types: frozenset[str]) -> JsonValue:
    decoded = decode(value)
    match decoded:
        case bool() if "boolean" in types:
            return decoded
        case int() if types & {"integer", "number"}:
            return decoded
        case float() if types & {"integer", "number"}:
            return int(decoded) if decoded.is_integer() else decoded
        case Mapping() if "object" in types:
            return decoded
        case list() if "array" in types:
            return decoded
        case _:
            return value


def _mend_array(value: Sequence[JsonValue], schema: JsonObject, types: frozenset[str]) -> JsonValue:
    words = [element for element in value if isinstance(element, str)]
    if types == {"string"} and len(words) == len(value):
        return shlex.join(words)
    element_schema = schema.get("items")
    if not isinstance(element_schema, Mapping):
        return value
    element_types = _types(element_schema)
    return [_mend(element, element_schema, element_types) for element in value]
