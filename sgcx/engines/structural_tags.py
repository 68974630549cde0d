"""Structural tags that xgrammar takes: what it cannot enforce is loosened here, where a log line can say so.

An engine that meets a grammar it cannot compile refuses the whole request; a client could do nothing about that.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from sgcx.responses.constraint import AnyObject, Constraint
from sgcx.responses.dialect import Dialect

logger = logging.getLogger(__name__)


def enforceable_tag(constraint: Constraint, dialect: Dialect) -> str:
    """The structural tag as JSON, of the constraint or of as much of it as can be enforced."""
    for attempt in _looser_and_looser(constraint):
        tag = json.dumps(dialect.structural_tag(attempt), ensure_ascii=False)
        problem = _problem(tag)
        if problem is None:
            return tag
        logger.warning("a constraint cannot be enforced and is loosened: %s", problem)
    raise AssertionError("what is left is built from this package's own formats")


def _looser_and_looser(constraint: Constraint) -> Iterator[Constraint]:
    yield constraint
    any_arguments = tuple(replace(tool, arguments=AnyObject()) for tool in constraint.tools)
    yield replace(constraint, tools=any_arguments)
    yield replace(constraint, tools=any_arguments, answer_schema={})


@lru_cache(maxsize=256)
def _problem(tag: str) -> str | None:
    """Why xgrammar cannot read `tag`. Reading takes milliseconds; the compiling is the scheduler's, beside its loop."""
    from xgrammar import Grammar

    try:
        Grammar.from_structural_tag(tag)
    except (RuntimeError, ValueError) as error:
        return str(error)
    return None
