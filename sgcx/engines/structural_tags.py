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

from sgcx.responses.constraint import AnyObject, Constraint
from sgcx.responses.dialect import Dialect
from sgcx.responses.wire import JsonValue

logger = logging.getLogger(__name__)

_FIRST_TRIED = Version("0.5.10")


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
    for attempt in looser_and_looser(constraint):
        try:
            return on_one_line(json.dumps(dialect.structural_tag(attempt), ensure_ascii=False))
        except (RuntimeError, ValueError) as problem:
            log_loosened(str(problem))
    raise AssertionError("what is left is built from this package's own formats")


def log_loosened(problem: str) -> None:
    logger.warning("a constraint cannot be enforced and is loosened: %s", problem)


def looser_and_looser(constraint: Constraint) -> Iterator[Constraint]:
    """The constraint, and what is left of it where an engine can enforce less. The last one every engine can."""
    yield constraint
    any_arguments = tuple(replace(tool, arguments=AnyObject()) for tool in constraint.tools)
    yield replace(constraint, tools=any_arguments)
    yield replace(constraint, tools=any_arguments, answer_schema={})


@lru_cache(maxsize=256)
def on_one_line(tag: str) -> str:
    """`tag` with one form for what matches a schema, that of `json.dumps`: of free white space a model can write more
    and more, until its tokens are used up.

    Raises RuntimeError or ValueError where xgrammar cannot read it. Reading takes milliseconds; the compiling is the
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
