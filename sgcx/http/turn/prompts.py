"""Prompts of one client request: made, counted, and cut until they fit."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from sgcx.errors import EngineError
from sgcx.http.endpoint import Endpoint
from sgcx.http.turn.obeying import obeying
from sgcx.responses.constraint import Constraint
from sgcx.responses.context.truncation import Truncation
from sgcx.responses.deltas import EngineDelta
from sgcx.responses.engine import Engine, EngineRequest
from sgcx.responses.generation.regeneration import generate_answer
from sgcx.responses.items import InputItem
from sgcx.responses.prompt import build_engine_request
from sgcx.responses.request import ResponsesRequest

_TOO_LONG = "context_length_exceeded"
_ANSWER_SHARE = 16
"""One part in so many of the context is kept free for an answer whose length the client does not limit."""
_STEP_SHARE = 8
"""Truncation takes away about one part in so many of what may stay at a time."""
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Prompts:
    endpoint: Endpoint
    engine: Engine
    response_id: str

    @property
    def context_length(self) -> int:
        return self.endpoint.model.context_length

    def job(self, request: ResponsesRequest) -> EngineRequest:
        model, dialect = self.endpoint.model, self.endpoint.dialect
        job = build_engine_request(request, request_id=self.response_id, model=model, dialect=dialect)
        # The prompt goes through the engine and fills its cache; one token is the least that every engine makes.
        return job if request.generate else replace(job, max_new_tokens=1, constraint=Constraint())

    def answer(self, request: ResponsesRequest) -> AsyncGenerator[EngineDelta, None]:
        job = self.job(request)
        deltas = generate_answer(self.engine, job) if request.generate else self.engine.generate(job)
        return obeying(request.tools, job.constraint, deltas)

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
        limit = self.context_length - 1 - (request.max_output_tokens or self.context_length // _ANSWER_SHARE)
        tokens = await self.count(request)
        if tokens is not None and tokens <= limit:
            return request
        step = max(1, limit * _CHARACTERS_PER_TOKEN // _STEP_SHARE)
        truncation = Truncation(request.input, step, limit, tokens)
        while (cut := truncation.propose()) is not None:
            tokens = await self.count(with_items(request, cut.items))
            truncation.judge(fits=tokens is not None and tokens <= limit)
        if truncation.result is None:
            message = "Even the instructions and the last item of the input leave no room in the model's context"
            raise EngineError(message, code=_TOO_LONG, status=400)
        return with_items(request, truncation.result.items)


def with_items(request: ResponsesRequest, items: Sequence[InputItem]) -> ResponsesRequest:
    return replace(request, input=tuple(items))
