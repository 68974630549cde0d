"""The API key, as ASGI middleware in front of every route of the app, SGLang's own included."""

from __future__ import annotations

import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from sgcx.http.errors import envelope, refuse
from sgcx.http.ids import new_id

OPEN_PATHS = ("/health", "/health_generate")
"""Probes carry no key: they tell that the server lives, nothing else."""


class RequireApiKey:
    def __init__(self, app: ASGIApp, *, api_key: str) -> None:
        self._app = app
        self._expected = api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS or self._accepts(scope):
            await self._app(scope, receive, send)
            return
        refusal = envelope(
            401,
            "Missing or wrong API key: send `Authorization: Bearer KEY` with the key that `sgcx up` stored",
            code="invalid_api_key",
            request_id=new_id("req"),
            headers={"WWW-Authenticate": "Bearer"},
        )
        await refuse(refusal, scope, receive, send)

    def _accepts(self, scope: Scope) -> bool:
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, key = bytes(value).partition(b" ")
                return scheme.lower() == b"bearer" and hmac.compare_digest(key.strip(), self._expected)
        return False
