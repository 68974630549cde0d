"""A parsed request made fit for the engine: what becomes of it before, and the generation that answers it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from sgcx.http.compacting import due_history, generate_compacted
from sgcx.http.prompts import Prompts
from sgcx.responses.deltas import EngineDelta
from sgcx.responses.request import ResponsesRequest

logger = logging.getLogger(__name__)

TRUNCATED_HEADER = "x-sgcx-truncated"


@dataclass(frozen=True, slots=True)
class Preparation:
    """`request` as it is answered, by `deltas`; `told`: response headers about what became of it."""

    request: ResponsesRequest
    deltas: AsyncGenerator[EngineDelta, None]
    told: dict[str, str]


async def prepare(prompts: Prompts, request: ResponsesRequest) -> Preparation:
    """Raises `InvalidRequest` and `EngineError`."""
    history = await due_history(prompts, request)
    if history is not None:
        return Preparation(request, generate_compacted(prompts, request, history), {})
    told: dict[str, str] = {}
    if request.truncate:
        fitted = await prompts.fit(request)
        if dropped := len(request.input) - len(fitted.input):
            told[TRUNCATED_HEADER] = f"{dropped} items"
            logger.info("request %s: left out the %d oldest items", prompts.response_id, dropped)
        request = fitted
    return Preparation(request, prompts.answer(request), told)
