"""A router of another package, as SGLANG_EXTRA_ROUTERS names it."""

from __future__ import annotations

from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router

ANSWER = "the mounted router"


async def create(request):
    return PlainTextResponse(ANSWER)


router = Router(routes=[Route("/v1/responses", create, methods=["POST"])])
