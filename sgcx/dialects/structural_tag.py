"""A constraint in a model's own markup, as the structural tag that xgrammar enforces.

It holds for what follows the reasoning. Markers are matched as text, so a model can neither use its special tokens
nor spell them out where no call may stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, assert_never

from sgcx.responses.constraint import AnyObject, Arguments, Constraint, GrammarObject, SchemaObject
from sgcx.responses.wire import JsonObject

_ANY_TEXT: JsonObject = {"type": "any_text"}


class _Call(Protocol):
    def __call__(self, name: str, arguments: JsonObject, /) -> JsonObject: ...


@dataclass(frozen=True, slots=True)
class CallMarkup:
    """How a model writes calls: `section_begin call (separator call)* section_end`.

    `call_begin` opens every call; `call` makes the tag of one call from the tool's name and its arguments' format.
    """

    section_begin: str
    section_end: str
    separator: str
    call_begin: str
    call: _Call


def structural_tag(constraint: Constraint, markup: CallMarkup) -> JsonObject:
    return {"type": "structural_tag", "format": _format(constraint, markup)}


def _arguments(arguments: Arguments, *, forced: bool) -> JsonObject:
    match arguments:
        case AnyObject():
            # Where the model calls of its own accord, arguments of which nothing is promised cost nothing.
            return {"type": "json_schema", "json_schema": {"type": "object"}} if forced else _ANY_TEXT
        case SchemaObject(schema):
            return {"type": "json_schema", "json_schema": schema}
        case GrammarObject(ebnf):
            return {"type": "grammar", "grammar": ebnf}
    assert_never(arguments)


def _format(constraint: Constraint, markup: CallMarkup) -> JsonObject:
    if constraint.must_call:
        return _section(constraint, markup)
    if constraint.answer_schema is not None:
        answer: JsonObject = {"type": "json_schema", "json_schema": constraint.answer_schema}
        return {"type": "or", "elements": [answer, _section(constraint, markup)]} if constraint.tools else answer
    if not constraint.tools:
        return {"type": "any_text", "excludes": [markup.section_begin, markup.call_begin]}
    return {
        "type": "triggered_tags",
        "triggers": [markup.section_begin],
        "tags": [_section(constraint, markup)],
        "stop_after_first": constraint.max_calls == 1,
        "excludes": [markup.call_begin],
    }


def _section(constraint: Constraint, markup: CallMarkup) -> JsonObject:
    calls: JsonObject = {
        "type": "tags_with_separator",
        "tags": [
            markup.call(tool.name, _arguments(tool.arguments, forced=constraint.must_call)) for tool in constraint.tools
        ],
        "separator": markup.separator,
        "at_least_one": True,
        "stop_after_first": constraint.max_calls == 1,
    }
    return {"type": "tag", "begin": markup.section_begin, "content": calls, "end": markup.section_end}
