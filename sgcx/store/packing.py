"""Payloads as they lie in the file. Histories repeat themselves, so packing them pays: five to ten times smaller."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import cast

import orjson

from sgcx.responses.wire import JsonObject, JsonValue


def pack(value: JsonValue) -> bytes:
    return zlib.compress(orjson.dumps(value), level=1)


def unpack_object(packed: object) -> JsonObject:
    return cast(JsonObject, _unpack(packed))


def unpack_objects(packed: object) -> tuple[JsonObject, ...]:
    return tuple(cast(list[JsonObject], _unpack(packed)))


def _unpack(packed: object) -> object:
    assert isinstance(packed, bytes)
    return orjson.loads(zlib.decompress(packed))


def by_id(items: JsonValue) -> dict[str, JsonObject]:
    """The items of a list by their ids."""
    if isinstance(items, str) or not isinstance(items, Sequence):
        return {}
    objects = (item for item in items if isinstance(item, Mapping))
    return {item_id: item for item in objects if isinstance(item_id := item.get("id"), str)}
