"""ResponsesRequest → EngineRequest: which messages, tools and limits this generation gets."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sgcx.errors import InvalidRequest
from sgcx.responses.dialect import Dialect
from sgcx.responses.engine import EngineRequest
from sgcx.responses.items import InputItem, Message, TextPart
from sgcx.responses.request import ResponsesRequest
from sgcx.responses.wire import JsonObject


@dataclass(frozen=True, slots=True)
class Sampling:
    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The one model that this endpoint serves, and what its makers recommend for it."""

    name: str
    context_length: int
    images: bool
    always_thinks: bool
    """The model has no instant mode, so a request cannot switch thinking off."""
    thinking_sampling: Sampling
    instant_sampling: Sampling


def build_engine_request(
    request: ResponsesRequest, *, request_id: str, model: ServedModel, dialect: Dialect
) -> EngineRequest:
    """Raises `InvalidRequest` where the request names another model or has nothing to answer."""
    if request.model is not None and request.model != model.name:
        raise InvalidRequest(
            f"The model {request.model!r} is not served here; use {model.name!r}",
            param="model",
            code="model_not_found",
        )
    thinking = request.thinking or model.always_thinks
    sampling = model.thinking_sampling if thinking else model.instant_sampling
    may_call = request.tool_choice != "none"
    messages = dialect.messages(_conversation(request, may_call), images=model.images)
    if not messages:
        raise InvalidRequest("`input` has no message to answer", param="input")
    return EngineRequest(
        request_id=request_id,
        messages=tuple(messages),
        tools=request.tools.chat_tools() if may_call else (),
        late_tools=request.tools.late_chat_tools() if may_call else (),
        template_arguments=dialect.template_arguments(thinking=thinking),
        temperature=sampling.temperature if request.temperature is None else request.temperature,
        top_p=sampling.top_p if request.top_p is None else request.top_p,
        max_new_tokens=request.max_output_tokens,
        json_schema=_constraint(request, may_call),
        thinking=thinking,
    )


def _conversation(request: ResponsesRequest, may_call: bool) -> list[InputItem]:
    items: list[InputItem] = []
    if request.instructions:
        items.append(Message("system", (TextPart(request.instructions),)))
    items.extend(request.input)
    if request.text_format.schema is not None and _constraint(request, may_call) is None:
        items.append(Message("system", (TextPart(_format_instruction(request)),)))
    return items


def _constraint(request: ResponsesRequest, may_call: bool) -> JsonObject | None:
    """A schema binds the whole output during decoding, so it would forbid tool calls.

    It is enforced where the model answers at once (no tools, or no thinking asked for, as for thread titles);
    otherwise the model is told the schema.
    """
    calls_possible = may_call and bool(request.tools.by_exposed_name) and request.thinking
    return None if calls_possible else request.text_format.schema


def _format_instruction(request: ResponsesRequest) -> str:
    schema = json.dumps(request.text_format.schema, ensure_ascii=False)
    return f"Your final answer must be one JSON value that matches this JSON schema, and nothing else:\n{schema}"
