"""Change single keys of a TOML text and nothing else.

Existing keys change in place. New root keys go to the top, where they belong to no table; new tables go to the end.
Every edit is proved before it is returned: the new text, parsed by the standard library, must equal the old settings
with exactly our changes laid over them. tomlkit alone does not promise that for every legal layout.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import TypeAlias

import tomlkit
from tomlkit.exceptions import TOMLKitError

from sgcx.errors import UserError

KeyPath: TypeAlias = tuple[str, ...]
Value: TypeAlias = str | int | bool
Plain: TypeAlias = dict[str, object]
Changes: TypeAlias = Mapping[KeyPath, object]
"""What each path shall hold; None means that it shall be absent."""


BYTE_ORDER_MARK = "\ufeff"
"""Some editors begin a file with it, and Codex passes over it."""


def parse_toml(text: str, *, name: str) -> Plain:
    try:
        return tomllib.loads(text.removeprefix(BYTE_ORDER_MARK))
    except tomllib.TOMLDecodeError as error:
        reason = str(error).replace("at end of document", f"at the end, line {text.count(chr(10)) + 1}")
        raise UserError(f"{name} is not valid TOML: {reason}", hint="Correct that line; nothing was written") from error


def find_value(plain: Mapping[str, object], path: KeyPath) -> object | None:
    """The value at `path`, or None: TOML has no null, so None can only mean absent."""
    value: object = plain
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value


def edit_toml(text: str, changes: Changes, *, name: str, keep_empty: Plain | None = None) -> str:
    """Lay `changes` over the text. A table that a removal leaves empty goes too, unless `keep_empty` has it."""
    if text.startswith(BYTE_ORDER_MARK):
        without = text.removeprefix(BYTE_ORDER_MARK)
        return BYTE_ORDER_MARK + edit_toml(without, changes, name=name, keep_empty=keep_empty)
    plain = parse_toml(text, name=name)
    pending = {path: value for path, value in changes.items() if not is_same(find_value(plain, path), value)}
    if not pending:
        return text
    _refuse_conflicts(plain, pending, name)
    expected = plain
    for path, value in pending.items():
        expected = _overlay(expected, path, value, keep_empty)
    windows_lines = "\r\n" in text and "\n" not in text.replace("\r\n", "")
    source = text.replace("\r\n", "\n") if windows_lines else text
    edited = _edit_document(source, plain, pending, name, keep_empty)
    if not _holds(edited, expected):
        raise _cannot_edit(name, pending)
    return edited.replace("\n", "\r\n") if windows_lines else edited


def is_same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _refuse_conflicts(plain: Plain, changes: Changes, name: str) -> None:
    for path in changes:
        for depth in range(1, len(path) + 1):
            value = find_value(plain, path[:depth])
            expects_table = depth < len(path)
            if value is not None and isinstance(value, dict) != expects_table:
                found, wanted = ("a value", "a table") if expects_table else ("a table", "a value")
                raise UserError(
                    f"`{'.'.join(path[:depth])}` in {name} is {found}; Codex expects {wanted} there",
                    hint="Correct or remove it, then run the command again",
                )


def _overlay(plain: Plain, path: KeyPath, value: object, keep_empty: Plain | None) -> Plain:
    """A copy of `plain` with one change in it."""
    key, rest = path[0], path[1:]
    if not rest:
        return {k: v for k, v in plain.items() if k != key} | ({} if value is None else {key: value})
    table = plain.get(key, {})
    if not isinstance(table, dict):
        return plain
    below = keep_empty.get(key) if keep_empty else None
    changed = _overlay(table, rest, value, below if isinstance(below, dict) else None)
    if value is None and not changed and not isinstance(below, dict):
        return {k: v for k, v in plain.items() if k != key}
    return plain | {key: changed}


def _edit_document(source: str, plain: Plain, changes: Changes, name: str, keep_empty: Plain | None) -> str:
    new_roots: dict[str, object] = {}
    new_tables: dict[KeyPath, dict[str, object]] = {}
    try:
        document = tomlkit.parse(source)
        for path, value in changes.items():
            parent = path[:-1]
            if value is None:
                _delete(document, path, keep_empty)
            elif not parent and path[0] not in plain:
                new_roots[path[0]] = value
            elif not parent or find_value(plain, parent) is not None:
                _set(document, path, value)
            else:
                new_tables.setdefault(parent, {})[path[-1]] = value
        edited = _with_new_roots(tomlkit.dumps(document), new_roots)
        for table, values in new_tables.items():
            edited = _with_new_table(edited, table, values)
    except (TOMLKitError, LookupError, AttributeError, TypeError, ValueError) as error:
        # tomlkit gives up on a few legal layouts, each with another exception.
        raise _cannot_edit(name, changes) from error
    return edited


def _with_new_roots(text: str, values: Mapping[str, object]) -> str:
    if not values:
        return text
    block = "".join(_render_line(key, value) for key, value in values.items())
    return f"{block}\n{text}" if text.strip() else block


def _with_new_table(text: str, table: KeyPath, values: Mapping[str, object]) -> str:
    """A block of its own at the end. Where an inline parent forbids that, keys inside the parent."""
    block = f"[{'.'.join(table)}]\n" + "".join(_render_line(key, value) for key, value in values.items())
    separator = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
    appended = f"{text}{separator}{block}"
    try:
        tomllib.loads(appended)
    except tomllib.TOMLDecodeError:
        document = tomlkit.parse(text)
        for key, value in values.items():
            _set(document, (*table, key), value)
        return tomlkit.dumps(document)
    return appended


def _render_line(key: str, value: object) -> str:
    return f"{key} = {tomlkit.item(value).as_string()}\n"


def _set(document: tomlkit.TOMLDocument, path: KeyPath, value: object) -> None:
    table: object = document
    for key in path[:-1]:
        if not isinstance(table, dict):
            raise TypeError(key)
        if key not in table:
            table[key] = tomlkit.inline_table()
        table = table[key]
    if not isinstance(table, dict):
        raise TypeError(path)
    table[path[-1]] = value


def _delete(document: tomlkit.TOMLDocument, path: KeyPath, keep_empty: Plain | None) -> None:
    for depth in range(len(path), 0, -1):
        parent: object = document
        for key in path[: depth - 1]:
            if not isinstance(parent, dict):
                raise TypeError(key)
            parent = parent[key]
        if not isinstance(parent, dict):
            raise TypeError(path)
        is_leaf = depth == len(path)
        if not is_leaf and (parent[path[depth - 1]] or find_value(keep_empty or {}, path[:depth]) is not None):
            return
        del parent[path[depth - 1]]


def _holds(text: str, expected: Plain) -> bool:
    try:
        return _canonical(tomllib.loads(text)) == _canonical(expected)
    except tomllib.TOMLDecodeError:
        return False


def _canonical(plain: Plain) -> str:
    """Tells 1 from true and 1.0, and finds nan equal to nan, which `==` does not."""
    return json.dumps(plain, sort_keys=True, default=repr)


def _cannot_edit(name: str, changes: Changes) -> UserError:
    keys = ", ".join(".".join(path) for path in changes)
    return UserError(
        f"{name} is laid out in a way that cannot be edited without touching other settings",
        hint=f"Write these keys as plain tables, or remove them by hand: {keys}",
    )
