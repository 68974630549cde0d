"""A parsed request made fit for the engine: what becomes of it before, and the generation that answers it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from sgcx.http.turn.compaction import due_history, generate_compacted
from sgcx.http.turn.prompts import Prompts
from sgcx.http.turn.reading import Reading
from sgcx.responses.deltas import EngineDelta
from sgcx.responses.request import ResponsesRequest

logger = logging.getLogger(__name__)

TRUNCATED_HEADER = "x-sgcx-truncated"
CACHE_HEADER = "x-sgcx-cache"


@dataclass(frozen=True, slots=True)
class Preparation:
    """`request` as it is answered, by `deltas`; `told`: response headers about what became of it."""

    request: ResponsesRequest
    deltas: AsyncGenerator[EngineDelta, None]
    told: dict[str, str]


async def prepare(prompts: Prompts, reading: Reading) -> Preparation:
    """Raises `InvalidRequest` and `EngineError`."""
    request = reading.request
    history = await due_history(prompts, request)
    if history is not None:
        return Preparation(request, generate_compacted(prompts, request, history), _cache(prompts, request, reading))
    fitted = await prompts.fit(request) if request.truncate else request
    told = {**_truncation(prompts, len(request.input) - len(fitted.input)), **_cache(prompts, fitted, reading)}
    return Preparation(fitted, prompts.answer(fitted), told)


def _truncation(prompts: Prompts, dropped: int) -> dict[str, str]:
    if not dropped:
        return {}
    logger.info("request %s: left out the %d oldest items", prompts.response_id, dropped)
    return {TRUNCATED_HEADER: f"{dropped} items"}


def _cache(prompts: Prompts, request: ResponsesRequest, reading: Reading) -> dict[str, str]:
    outlook = prompts.endpoint.prompt_memory.note(request, reading.declared_tools, prompts.response_id)
    if outlook is None:
        return {}
    told = f"{outlook}; tools kept" if reading.restored else str(outlook)
    compared = "" if outlook.earlier is None else f" (compared with {outlook.earlier})"
    logger.info("request %s: prompt cache %s%s", prompts.response_id, told, compared)
    return {CACHE_HEADER: told}
