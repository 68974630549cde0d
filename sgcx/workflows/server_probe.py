"""Asks a running server what Codex asks first: which models there are, and one small streamed answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx

from sgcx.errors import LaunchFailed

_TIMEOUT_S = 60.0
_TERMINAL = ("response.completed", "response.incomplete", "response.failed", "error")


@dataclass(frozen=True, slots=True)
class ProbeResult:
    models: tuple[str, ...]
    events: int
    first_event_s: float
    total_s: float
    end: str
    """The type of the last event: `response.completed`, or `response.incomplete` as the answer is kept short."""


def probe_endpoint(base_url: str, model: str, api_key: str | None) -> ProbeResult:
    """Raises LaunchFailed with what the endpoint said instead."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        with httpx.Client(headers=headers, timeout=_TIMEOUT_S, trust_env=False) as client:
            models = _read_models(client, base_url)
            return _stream(client, base_url, model, models)
    except httpx.HTTPStatusError as error:
        raise LaunchFailed(f"{error.request.url.path} answers {error.response.status_code}") from error
    except (httpx.HTTPError, ValueError) as error:
        raise LaunchFailed(f"{base_url} does not answer as it should: {type(error).__name__}: {error}") from error


def _read_models(client: httpx.Client, base_url: str) -> tuple[str, ...]:
    document: object = client.get(f"{base_url}/models").raise_for_status().json()
    match document:
        case {"data": list(entries)}:
            return tuple(str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry)
        case _:
            raise ValueError("/models has no list of models")


def _stream(client: httpx.Client, base_url: str, model: str, models: tuple[str, ...]) -> ProbeResult:
    request = {
        "model": model,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Say OK."}]}],
        "reasoning": {"effort": "none"},
        "max_output_tokens": 16,
        "stream": True,
        "store": False,
    }
    started = time.monotonic()
    first_event_s, types = 0.0, list[str]()
    with client.stream("POST", f"{base_url}/responses", json=request) as response:
        response.raise_for_status()
        for kind in _event_types(response.iter_bytes()):
            first_event_s = first_event_s or time.monotonic() - started
            types.append(kind)
    end = types[-1] if types else "nothing"
    if end not in _TERMINAL[:2]:
        raise LaunchFailed(f"/responses ends with {end} instead of response.completed")
    return ProbeResult(models, len(types), first_event_s, time.monotonic() - started, end)


def _event_types(chunks: Iterable[bytes]) -> Iterator[str]:
    """Split at line feeds only: other characters that end a line in Python are data here."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if line.startswith(b"data:") and data != b"[DONE]":
                yield _type_of(json.loads(data))


def _type_of(event: object) -> str:
    match event:
        case {"type": str(kind)}:
            return kind
        case _:
            raise ValueError("an event has no type")
