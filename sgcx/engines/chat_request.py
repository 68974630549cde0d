"""The body of a chat completion, as an engine behind HTTP wants it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from sgcx.engines.call_arguments import with_arguments
from sgcx.responses.constraint import Constraint, answer_instruction
from sgcx.responses.dialect import Dialect
from sgcx.responses.engine import EngineRequest
from sgcx.responses.wire import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class RawText:
    """The engine was started without parsers: its content is the model's raw text, for the dialect to read.

    `reasoning_opened`: the prompt of a request that thinks ends inside the reasoning, as those of Kimi K2.5 and
    later and of DeepSeek-R1 do.
    """

    dialect: Dialect
    reasoning_opened: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """`url` ends in `/v1`, `model` is the upstream's own name for it.

    `verbatim_arguments`: the upstream decodes any arguments (`sglang_arguments.py`). Encoded once more they come out
    as they were: the prefix cache holds them, and a call whose JSON the model got wrong is no 400.

    `grammar_dialect`: the upstream binds its decoder to structural tags (`structural_tags.py`) in this markup.

    `tokenize_url`: where the upstream renders and counts a chat without serving it, as vLLM's `/tokenize` does.
    """

    url: str
    model: str
    verbatim_arguments: bool = False
    raw: RawText | None = None
    grammar_dialect: Dialect | None = None
    tokenize_url: str | None = None


def build_count_body(request: EngineRequest, upstream: Upstream) -> JsonObject:
    """The fields of a chat completion that make its prompt."""
    body = build_body(request, upstream)
    prompt = {name: body[name] for name in ("model", "messages", "tools", "chat_template_kwargs") if name in body}
    return {**prompt, "add_generation_prompt": True}


def build_body(request: EngineRequest, upstream: Upstream) -> JsonObject:
    arguments = _encoded_arguments if upstream.verbatim_arguments else _valid_arguments
    messages = [with_arguments(message, arguments) for message in request.messages]
    body: dict[str, JsonValue] = {
        "model": upstream.model,
        "messages": messages,
        "chat_template_kwargs": request.template_arguments,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    # A parser at the other end drops calls of tools that it was not told of.
    tools = request.tools if upstream.raw is not None else (*request.tools, *request.late_tools)
    if tools:
        body["tools"] = tools
    if request.top_logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if request.max_new_tokens is not None:
        body["max_tokens"] = request.max_new_tokens
    if upstream.raw is not None:
        body |= {"separate_reasoning": False, "skip_special_tokens": False}
    return {**body, **_constraint_fields(request, upstream, messages)}


def _constraint_fields(request: EngineRequest, upstream: Upstream, messages: list[JsonObject]) -> dict[str, JsonValue]:
    constraint = request.constraint
    if upstream.grammar_dialect is not None and constraint.binds:
        return {"response_format": upstream.grammar_dialect.structural_tag(constraint)}
    fields: dict[str, JsonValue] = {}
    if request.tools or request.late_tools:
        fields |= _call_fields(constraint, raw=upstream.raw is not None)
    if constraint.answer_schema is not None:
        fields |= _answer_fields(constraint.answer_schema, messages, beside_tools=bool(constraint.tools))
    return fields


def _call_fields(constraint: Constraint, *, raw: bool) -> dict[str, JsonValue]:
    """What chat completions can say. They know no choice among some of the tools; the calls are checked afterwards.

    `raw`: an engine that is made to call writes a notation of its own, which only its own parser reads.
    """
    fields: dict[str, JsonValue] = {}
    if constraint.max_calls == 1:
        fields["parallel_tool_calls"] = False
    match constraint:
        case Constraint(withheld=True, tools=()):
            fields["tool_choice"] = "none"
        case Constraint(must_call=True, tools=(only,)) if not raw:
            fields["tool_choice"] = {"type": "function", "function": {"name": only.name}}
        case Constraint(must_call=True) if not raw:
            fields["tool_choice"] = "required"
    return fields


def _answer_fields(schema: JsonObject, messages: list[JsonObject], *, beside_tools: bool) -> dict[str, JsonValue]:
    """A response format would bind the whole output and forbid tool calls, so beside tools the model is only told."""
    if beside_tools:
        return {"messages": [*messages, {"role": "user", "content": answer_instruction(schema)}]}
    named: JsonObject = {"name": "response", "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _encoded_arguments(arguments: str) -> str:
    return orjson.dumps(arguments).decode()


def _valid_arguments(arguments: str) -> str:
    """Engines refuse a history with a call whose arguments are no JSON object, and so the rest of the session."""
    try:
        valid = isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        valid = False
    return arguments if valid else orjson.dumps({"invalid_arguments": arguments}).decode()
