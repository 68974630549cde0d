"""Structural tags that xgrammar takes: what it cannot enforce is loosened, where a log line can say so.

An engine that meets a grammar it cannot compile refuses the whole request; a client could do nothing about that.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from packaging.version import InvalidVersion, Version

from sgcx.responses.constraint import AnyObject, CallableTool, Constraint
from sgcx.responses.dialect import Dialect
from sgcx.responses.wire import JsonValue

logger = logging.getLogger(__name__)

_FIRST_TRIED = Version("0.5.10")
_UNREADABLE = (RuntimeError, ValueError)
"""What xgrammar raises for a schema or a grammar that it cannot read."""


def takes_structural_tags(sglang_version: str, *, grammar_backend: str, reasoning_parser: str) -> bool:
    """Does the chat endpoint of this SGLang bind the decoder to such a tag, as a response format, behind the reasoning?

    Without a reasoning parser it knows of none, and would bind the model before it has thought.
    """
    try:
        tried = Version(sglang_version) >= _FIRST_TRIED
    except InvalidVersion:
        return False
    return tried and grammar_backend == "xgrammar" and reasoning_parser != ""


def enforceable_tag(constraint: Constraint, dialect: Dialect) -> str:
    """The structural tag as JSON, of the constraint or of as much of it as can be enforced."""
    try:
        return _readable_tag(constraint, dialect)
    except _UNREADABLE:
        return _readable_tag(_enforceable(constraint, dialect), dialect)


def _enforceable(constraint: Constraint, dialect: Dialect) -> Constraint:
    """Each tool's arguments, and the answer, are loosened if they cannot be read, and only then."""
    tools = tuple(
        tool if _is_readable(Constraint((tool,)), dialect, f"arguments of {tool.name!r}") else _with_any_arguments(tool)
        for tool in constraint.tools
    )
    schema = constraint.answer_schema
    if schema is not None and not _is_readable(Constraint(answer_schema=schema), dialect, "the answer's schema"):
        schema = {}
    return replace(constraint, tools=tools, answer_schema=schema)


def _is_readable(part: Constraint, dialect: Dialect, what: str) -> bool:
    """What is not is named in the log."""
    try:
        _readable_tag(part, dialect)
    except _UNREADABLE as problem:
        log_loosened(what, str(problem))
        return False
    return True


def _readable_tag(constraint: Constraint, dialect: Dialect) -> str:
    return on_one_line(json.dumps(dialect.structural_tag(constraint), ensure_ascii=False))


def _with_any_arguments(tool: CallableTool) -> CallableTool:
    return replace(tool, arguments=AnyObject())


def log_loosened(what: str, problem: str) -> None:
    logger.warning("loosened, because it cannot be enforced: %s: %s", what, problem)


def looser_and_looser(constraint: Constraint) -> Iterator[Constraint]:
    """For an engine that does not say what it cannot enforce: the constraint, and what is left of it for one that
    can enforce less. The last one every engine can."""
    yield constraint
    any_arguments = tuple(map(_with_any_arguments, constraint.tools))
    yield replace(constraint, tools=any_arguments)
    yield replace(constraint, tools=any_arguments, answer_schema={})


@lru_cache(maxsize=256)
def on_one_line(tag: str) -> str:
    """`tag` with one form for what matches a schema, that of `json.dumps`: of free white space a model can write more
    and more, until its tokens are used up.

    Raises `_UNREADABLE` where xgrammar cannot read it. Reading takes milliseconds; the compiling is the
    scheduler's, beside its loop.
    """
    from xgrammar import Grammar

    strict = json.dumps(_without_schemas(json.loads(tag)), ensure_ascii=False)
    Grammar.from_structural_tag(strict)
    return strict


def _without_schemas(node: JsonValue) -> JsonValue:
    from xgrammar import Grammar

    match node:
        case {"type": "json_schema", "json_schema": schema}:
            grammar = Grammar.from_json_schema(json.dumps(schema, ensure_ascii=False), any_whitespace=False)
            return {"type": "grammar", "grammar": str(grammar)}
        case Mapping():
            return {name: _without_schemas(value) for name, value in node.items()}
        case list():
            return [_without_schemas(element) for element in node]
        case _:
            return node
