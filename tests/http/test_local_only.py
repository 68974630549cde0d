"""Which requests a server without a key answers: a browser's headers against the address it listens on."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sgcx.http.local_only import LocalOnly


def ask(bind: str, host: str, origin: str | None = None) -> httpx.Response:
    async def answer(_: object) -> PlainTextResponse:
        return PlainTextResponse("answered")

    app = Starlette(
        routes=[Route("/v1/responses", answer, methods=["POST"])], middleware=[Middleware(LocalOnly, host=bind)]
    )
    headers = {"Host": host, **({} if origin is None else {"Origin": origin})}

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://server") as client:
            return await client.post("/v1/responses", headers=headers)

    return asyncio.run(post())


@pytest.mark.parametrize(
    ("bind", "host", "origin"),
    [
        ("127.0.0.1", "127.0.0.1:30000", None),
        ("127.0.0.1", "localhost:30000", "http://localhost:8080"),
        ("127.0.0.1", "LOCALHOST", "http://127.0.0.1"),
        ("::1", "[::1]:30000", "http://[::1]:3000"),
        ("192.0.2.7", "192.0.2.7:30000", None),
        ("box.example", "box.example:30000", None),
        ("0.0.0.0", "192.0.2.7:30000", None),
        ("::", "[2001:db8::1]:30000", None),
        ("0.0.0.0", f"{socket.gethostname()}:30000", None),
    ],
)
def test_a_program_and_a_page_of_this_machine_are_answered(bind: str, host: str, origin: str | None) -> None:
    assert ask(bind, host, origin).text == "answered"


@pytest.mark.parametrize(
    ("bind", "host", "origin"),
    [
        ("127.0.0.1", "127.0.0.1:30000", "https://evil.example"),
        ("127.0.0.1", "127.0.0.1:30000", "https://localhost.evil.example"),
        ("127.0.0.1", "127.0.0.1:30000", "null"),
        ("127.0.0.1", "rebound.evil.example:30000", None),
        ("127.0.0.1", "127.0.0.1.evil.example", None),
        ("127.0.0.1", "192.0.2.7:30000", None),
        ("127.0.0.1", "[broken", None),
        ("0.0.0.0", "rebound.evil.example:30000", None),
    ],
)
def test_a_page_from_elsewhere_and_a_foreign_name_are_refused_in_the_envelope(
    bind: str, host: str, origin: str | None
) -> None:
    refused = ask(bind, host, origin)
    assert refused.status_code == 403
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "forbidden")


def test_a_web_socket_of_a_foreign_page_is_closed_before_it_opens() -> None:
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def app(*_: object) -> None:
        raise AssertionError("it must not get here")

    scope = {"type": "websocket", "headers": [(b"host", b"127.0.0.1"), (b"origin", b"https://evil.example")]}
    asyncio.run(LocalOnly(app, host="127.0.0.1")(scope, None, send))  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["websocket.close"]
