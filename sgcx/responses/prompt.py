"""ResponsesRequest → EngineRequest: which messages, tools and limits this generation gets."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.errors import InvalidRequest
from sgcx.responses.constraint import Constraint, constraint_of
from sgcx.responses.dialect import Dialect
from sgcx.responses.engine import EngineRequest
from sgcx.responses.items import InputItem, Message, TextPart
from sgcx.responses.request import ResponsesRequest

_LEAST_TOP_P = 1e-6
"""Leaves the likeliest token, as 0 does in the API. Engines refuse 0."""


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
    messages = dialect.messages(_conversation(request), images=model.images)
    if not messages:
        raise InvalidRequest("`input` has no message to answer", param="input")
    return EngineRequest(
        request_id=request_id,
        messages=tuple(messages),
        tools=request.tools.chat_tools(),
        late_tools=request.tools.late_chat_tools(),
        template_arguments=dialect.template_arguments(thinking=thinking),
        temperature=sampling.temperature if request.temperature is None else request.temperature,
        top_p=sampling.top_p if request.top_p is None else max(request.top_p, _LEAST_TOP_P),
        max_new_tokens=request.max_output_tokens,
        constraint=request_constraint(request),
        thinking=thinking,
        top_logprobs=request.top_logprobs,
    )


def request_constraint(request: ResponsesRequest) -> Constraint:
    schema = request.text_format.schema
    return constraint_of(request.tools, request.tool_choice, max_calls=request.max_calls, answer_schema=schema)


def _conversation(request: ResponsesRequest) -> list[InputItem]:
    instructions = (Message("system", (TextPart(request.instructions),)),) if request.instructions else ()
    return [*instructions, *request.input]
