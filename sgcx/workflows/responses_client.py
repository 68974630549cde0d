"""Asks a running server for streamed responses, and reads them as a client does: the items that are done, the end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from sgcx.errors import LaunchFailed
from sgcx.responses.sse import SseDecoder

Item: TypeAlias = Mapping[str, object]
_TIMEOUT_S = 120.0
_DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` is HTTP's; `error` the error object of an answer that is not 200."""

    status: int
    event_types: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    error: Item | None = None
    first_event_s: float = 0.0
    total_s: float = 0.0

    @property
    def end(self) -> str:
        """The type of the last event: `response.completed` when all is well."""
        return self.event_types[-1] if self.event_types else "nothing"


class ResponsesClient:
    """Raises LaunchFailed where something answers that is no Responses endpoint, or nothing does."""

    def __init__(self, base_url: str, api_key: str | None, *, timeout_s: float = _TIMEOUT_S) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._base_url = base_url
        self._client = httpx.Client(headers=headers, timeout=timeout_s, trust_env=False)

    def __enter__(self) -> ResponsesClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def models(self) -> tuple[str, ...]:
        try:
            response = self._client.get(f"{self._base_url}/models")
            if response.status_code == 401:
                raise LaunchFailed(
                    f"{response.request.url.path} answers 401: the key file holds another key than when it started",
                    hint="`sgcx restart` lets the server read the key file again",
                )
            if response.status_code != 200:
                raise LaunchFailed(f"{response.request.url.path} answers {response.status_code}")
            document: object = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._unexpected(error) from error
        match document:
            case {"data": list(entries)}:
                return tuple(str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry)
            case _:
                raise self._unexpected(ValueError("/models has no list of models"))

    def ask(self, request: Mapping[str, object]) -> Answer:
        started = time.monotonic()
        try:
            with self._client.stream("POST", f"{self._base_url}/responses", json=request) as response:
                if response.status_code != 200:
                    return Answer(response.status_code, error=_error(response.read()))
                return _read_stream(response, started)
        except (httpx.HTTPError, ValueError) as error:
            raise self._unexpected(error) from error

    def _unexpected(self, error: Exception) -> LaunchFailed:
        return LaunchFailed(f"{self._base_url} does not answer as it should: {type(error).__name__}: {error}")


def _error(body: bytes) -> Item:
    """Empty where the body is not an error as OpenAI writes it."""
    try:
        document: object = json.loads(body)
    except ValueError:
        return {}
    match document:
        case {"error": dict(error)}:
            return error
        case _:
            return {}


def _read_stream(response: httpx.Response, started: float) -> Answer:
    decoder = SseDecoder()
    first_event_s = 0.0
    types: list[str] = []
    items: list[Item] = []
    for chunk in response.iter_bytes():
        for data in decoder.feed(chunk):
            first_event_s = first_event_s or time.monotonic() - started
            if data != _DONE:
                _take(json.loads(data), types, items)
    return Answer(response.status_code, tuple(types), tuple(items), None, first_event_s, time.monotonic() - started)


def _take(event: object, types: list[str], items: list[Item]) -> None:
    match event:
        case {"type": "response.output_item.done", "item": dict(item)}:
            types.append("response.output_item.done")
            items.append(item)
        case {"type": str(kind)}:
            types.append(kind)
        case _:
            raise ValueError("an event has no type")
