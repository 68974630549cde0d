"""A parsed request made fit for the engine: within the context, and with the prompt's beginning kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sgcx.errors import EngineError
from sgcx.http.endpoint import Endpoint
from sgcx.responses.constraint import Constraint
from sgcx.responses.engine import Engine, EngineRequest
from sgcx.responses.items import InputItem
from sgcx.responses.prompt import build_engine_request
from sgcx.responses.request import ResponsesRequest
from sgcx.responses.truncation import Truncation

logger = logging.getLogger(__name__)

TRUNCATED_HEADER = "x-sgcx-truncated"
_TOO_LONG = "context_length_exceeded"
_ANSWER_SHARE = 16
"""One part in so many of the context is kept free for an answer whose length the client does not limit."""
_STEP_SHARE = 8
"""Truncation takes away about one part in so many of the context at a time."""
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Preparation:
    """`request` as it is answered; `told`: response headers about what became of it."""

    request: ResponsesRequest
    job: EngineRequest
    told: dict[str, str] = field(default_factory=dict)


async def prepare(endpoint: Endpoint, engine: Engine, request: ResponsesRequest, response_id: str) -> Preparation:
    """Raises `InvalidRequest` and `EngineError`."""
    context = _Context(endpoint, engine, response_id)
    told: dict[str, str] = {}
    if request.truncate:
        fitted = await context.fit(request)
        if dropped := len(request.input) - len(fitted.input):
            told[TRUNCATED_HEADER] = f"{dropped} items"
            logger.info("request %s: left out the %d oldest items", response_id, dropped)
        request = fitted
    return Preparation(request, context.job(request), told)


@dataclass(frozen=True, slots=True)
class _Context:
    endpoint: Endpoint
    engine: Engine
    response_id: str

    def job(self, request: ResponsesRequest) -> EngineRequest:
        model, dialect = self.endpoint.model, self.endpoint.dialect
        job = build_engine_request(request, request_id=self.response_id, model=model, dialect=dialect)
        # The prompt goes through the engine and fills its cache; one token is the least that every engine makes.
        return job if request.generate else replace(job, max_new_tokens=1, constraint=Constraint())

    async def count(self, request: ResponsesRequest) -> int | None:
        """None: more than the engine counts."""
        try:
            return await self.engine.count_tokens(self.job(request))
        except EngineError as error:
            if error.code == _TOO_LONG:
                return None
            raise

    async def fit(self, request: ResponsesRequest) -> ResponsesRequest:
        """With as many of its newest items as leave room for the answer."""
        length = self.endpoint.model.context_length
        limit = length - 1 - (request.max_output_tokens or length // _ANSWER_SHARE)
        tokens = await self.count(request)
        if tokens is not None and tokens <= limit:
            return request
        step = length * _CHARACTERS_PER_TOKEN // _STEP_SHARE
        truncation = Truncation(request.input, step, limit, tokens)
        while (cut := truncation.propose()) is not None:
            tokens = await self.count(_with_items(request, cut.items))
            truncation.judge(fits=tokens is not None and tokens <= limit)
        if truncation.result is None:
            message = "Even the instructions and the last item of the input leave no room in the model's context"
            raise EngineError(message, code=_TOO_LONG, status=400)
        return _with_items(request, truncation.result.items)


def _with_items(request: ResponsesRequest, items: Sequence[InputItem]) -> ResponsesRequest:
    return replace(request, input=tuple(items))
