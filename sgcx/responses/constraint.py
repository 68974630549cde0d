"""What the model may decode once it has thought, told in no model's markup and no engine's language.

The prompt shows the same tools whatever may be called: a constraint never costs the prefix cache. A dialect writes
it down in its model's markup; an engine that cannot enforce it maps what it can, and `CallGuard` checks the rest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

from sgcx.responses.grammars.definition import parse_definition
from sgcx.responses.grammars.expressions import UnsupportedGrammar
from sgcx.responses.grammars.json import json_property_ebnf
from sgcx.responses.grammars.references import circular_reference
from sgcx.responses.tools.choice import ToolChoice
from sgcx.responses.tools.declared import CUSTOM_INPUT, CustomTool, FunctionTool, Tool
from sgcx.responses.tools.table import ToolTable
from sgcx.responses.tools.typed import TypedTool
from sgcx.responses.wire import JsonObject


@dataclass(frozen=True, slots=True)
class AnyObject:
    """Any JSON object: nothing more is promised of these arguments."""


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """A JSON object that matches `schema`."""

    schema: JsonObject


@dataclass(frozen=True, slots=True)
class GrammarObject:
    """A JSON object that `ebnf` derives from its rule `root`, in xgrammar's notation."""

    ebnf: str


Arguments = AnyObject | SchemaObject | GrammarObject


@dataclass(frozen=True, slots=True)
class CallableTool:
    """`name` as the model sees it."""

    name: str
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Constraint:
    tools: tuple[CallableTool, ...] = ()
    """The tools that may be called."""
    withheld: bool = False
    """The model sees more tools than it may call."""
    must_call: bool = False
    max_calls: int | None = None
    answer_schema: JsonObject | None = None
    """What the text of an answer must match, if the model answers instead of calling a tool."""

    @property
    def callable_names(self) -> frozenset[str]:
        return frozenset(tool.name for tool in self.tools)

    @property
    def binds(self) -> bool:
        """Decoding has to be constrained. `max_calls` alone does not: the generation is ended behind the last call."""
        return (
            self.withheld
            or self.must_call
            or self.answer_schema is not None
            or any(not isinstance(tool.arguments, AnyObject) for tool in self.tools)
        )


def constraint_of(
    tools: ToolTable, choice: ToolChoice, *, max_calls: int | None, answer_schema: JsonObject | None
) -> Constraint:
    declared = tools.by_exposed_name
    allowed = declared.keys() if choice.allowed is None else choice.allowed
    return Constraint(
        tools=tuple(CallableTool(name, _arguments(tool)) for name, tool in declared.items() if name in allowed),
        withheld=len(allowed) < len(declared),
        must_call=choice.mode == "required",
        max_calls=max_calls,
        answer_schema={} if answer_schema and circular_reference(answer_schema) else answer_schema,
    )


def unenforceable(tools: ToolTable, answer_schema: JsonObject | None) -> tuple[str, ...]:
    """The grammars and schemas that bind nothing, as `what of which tool: why`."""
    found: list[str] = []
    for name, tool in tools.by_exposed_name.items():
        match tool:
            case CustomTool(grammar=str(definition)):
                translated = _translated(definition, tool.syntax or "lark")
                if isinstance(translated, UnsupportedGrammar):
                    found.append(f"grammar of {name}: {translated}")
            case FunctionTool(strict=True, parameters=parameters) if reference := circular_reference(parameters):
                found.append(f"schema of {name}: `{reference}` stands for itself")
            case _:
                pass
    if answer_schema is not None and (reference := circular_reference(answer_schema)):
        found.append(f"schema of the answer: `{reference}` stands for itself")
    return tuple(found)


def unenforced(constraint: Constraint) -> tuple[str, ...]:
    """What an engine that has no grammars leaves to the model: which calls are made is checked, not how."""
    found = [f"arguments of {tool.name}" for tool in constraint.tools if isinstance(tool.arguments, SchemaObject)]
    found += [f"grammar of {tool.name}" for tool in constraint.tools if isinstance(tool.arguments, GrammarObject)]
    if constraint.answer_schema is not None and constraint.tools:
        found.append("text.format beside tools")
    return tuple(f"{part}: not enforced by this engine" for part in found)


def answer_instruction(schema: JsonObject) -> str:
    """For an engine that cannot enforce the schema of an answer beside tools."""
    written = json.dumps(schema, ensure_ascii=False)
    return f"Your final answer must be one JSON value that matches this JSON schema, and nothing else:\n{written}"


def _arguments(tool: Tool) -> Arguments:
    match tool:
        case FunctionTool(strict=True, parameters=parameters):
            return AnyObject() if circular_reference(parameters) else SchemaObject(parameters)
        case TypedTool(name="shell" | "local_shell" | "apply_patch", parameters=parameters):
            return SchemaObject(parameters)  # their items have no place for anything else
        case CustomTool(grammar=str(definition)):
            translated = _translated(definition, tool.syntax or "lark")
            return AnyObject() if isinstance(translated, UnsupportedGrammar) else GrammarObject(translated)
        case _:
            return AnyObject()


@lru_cache(maxsize=64)
def _translated(definition: str, syntax: str) -> str | UnsupportedGrammar:
    """EBNF over the arguments of the function that stands for a custom tool. Clients send the same ones every turn."""
    try:
        return json_property_ebnf(CUSTOM_INPUT, parse_definition(definition, syntax))
    except UnsupportedGrammar as unsupported:
        return unsupported
