"""Frozen dataclasses ↔ tables of JSON, by their own annotations.

A field that is None is left out of the table. Keys that nobody knows are passed over: a table may come from a later
version. Every error names the file, the dotted key and what is allowed there.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sgcx.errors import UserError
from sgcx.planning.fields import kind_of, one_of

Positive = Annotated[int, "at least 1"]
T = TypeVar("T")


def encode_table(record: object) -> dict[str, object]:
    """`record` is a dataclass."""
    assert is_dataclass(record)
    values = ((field.name, getattr(record, field.name)) for field in fields(record))
    return {name: _encode(value) for name, value in values if value is not None}


def _encode(value: object) -> object:
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return encode_table(value) if is_dataclass(value) else value


def decode_table(record_type: type[T], value: object, origin: str, *, newest_format: int) -> T:
    """A table without `format` has the first one."""
    decoder = _Decoder(origin)
    if isinstance(value, dict):
        table_format = decoder.decode(Positive, value.get("format", 1), "format")
        if isinstance(table_format, int) and table_format > newest_format:
            raise UserError(
                f"{origin}: its format is {table_format}, and this sgcx reads up to {newest_format}",
                hint="Update sgcx, or make the file anew",
            )
    decoded = decoder.decode(record_type, value, "")
    assert isinstance(decoded, record_type)
    return decoded


class _Decoder:
    def __init__(self, origin: str) -> None:
        self._origin = origin

    def decode(self, annotation: object, value: object, key: str) -> object:
        if annotation is Positive:
            return self._whole_number(value, key, at_least=1)
        if annotation is int:
            return self._whole_number(value, key, at_least=0)
        if isinstance(annotation, type) and is_dataclass(annotation):
            return self._record(annotation, value, key)
        kind, arguments = get_origin(annotation), get_args(annotation)
        if kind is tuple:
            return self._items(arguments, value, key)
        if kind is Literal:
            return self._checked(value in arguments, value, key, one_of(arguments))
        if kind in (Union, types.UnionType):
            return self._alternative(arguments, value, key)
        return self._scalar(annotation, value, key)

    def _record(self, record_type: type, value: object, key: str) -> object:
        if not isinstance(value, dict):
            raise UserError(
                f"{self._origin}: {f'`{key}`' if key else 'the file'} must be a table, not {kind_of(value)}"
            )
        annotations = get_type_hints(record_type, include_extras=True)
        make: Callable[..., object] = record_type
        known = {
            field.name: self._field(field, annotations[field.name], value, f"{key}." if key else "")
            for field in fields(record_type)
            if field.name in value or _is_required(field)
        }
        return make(**known)

    def _field(self, field: Field[object], annotation: object, table: Mapping[str, object], prefix: str) -> object:
        key, value = f"{prefix}{field.name}", table.get(field.name)
        if value is None and type(None) not in get_args(annotation):
            raise UserError(f"{self._origin}: `{key}` is missing")
        return self.decode(annotation, value, key)

    def _items(self, annotations: tuple[object, ...], value: object, key: str) -> tuple[object, ...]:
        if annotations[-1] is Ellipsis:
            items = self._list(value, key, "a list of tables" if is_dataclass(annotations[0]) else "a list")
            return tuple(self.decode(annotations[0], item, f"{key}[{index}]") for index, item in enumerate(items))
        wanted = f"a list of {len(annotations)} whole numbers"
        items = self._list(value, key, wanted)
        if len(items) != len(annotations):
            raise self._error(value, key, wanted)
        return tuple(self._whole_number(item, key, at_least=0) for item in items)

    def _list(self, value: object, key: str, wanted: str) -> list[object]:
        if not isinstance(value, list):
            raise self._error(value, key, wanted)
        return value

    def _alternative(self, annotations: tuple[object, ...], value: object, key: str) -> object:
        """A word where a number may be too is one of the allowed words."""
        if value is None and type(None) in annotations:
            return None
        rest = [each for each in annotations if each is not type(None)]
        literals = [each for each in rest if get_origin(each) is Literal]
        chosen = literals if isinstance(value, str) and literals else [each for each in rest if each not in literals]
        return self.decode((chosen or rest)[0], value, key)

    def _scalar(self, annotation: object, value: object, key: str) -> object:
        if annotation is float:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            return self._checked(is_number, value, key, "a number")
        if annotation is bool:
            return self._checked(isinstance(value, bool), value, key, "true or false")
        assert annotation is str, annotation
        return self._checked(isinstance(value, str), value, key, "a text")

    def _whole_number(self, value: object, key: str, *, at_least: int) -> object:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= at_least
        return self._checked(fits, value, key, f"a whole number, at least {at_least}")

    def _checked(self, fits: bool, value: object, key: str, wanted: str) -> object:
        if not fits:
            raise self._error(value, key, wanted)
        return value

    def _error(self, value: object, key: str, wanted: str) -> UserError:
        return UserError(f"{self._origin}: `{key}` must be {wanted}, not {kind_of(value)}")


def _is_required(field: Field[object]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
