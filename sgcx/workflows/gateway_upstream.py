"""What an upstream engine says of itself: `GET /models`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from sgcx.engines.proxies import is_loopback
from sgcx.errors import UserError

_TIMEOUT_S = 15.0
_CHAT_PATH = "/chat/completions"
_SGLANG = ("sglang", "sgcx")


@dataclass(frozen=True, slots=True)
class UpstreamModel:
    """`owner` is who the upstream says it is (`sglang`, `vllm`, …), empty where it was not asked.

    `sglang_version`, `grammar_backend`, `reasoning_parser`: empty for others, and where they are not said.
    """

    url: str
    model: str
    context_length: int
    owner: str
    sglang_version: str = ""
    grammar_backend: str = ""
    reasoning_parser: str = ""


def normalize_url(text: str, *, option: str, key_option: str) -> str:
    """The base URL that `/chat/completions` is appended to. `http://host:port` alone means its `/v1`."""
    try:
        parts = urlsplit(text)
        complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        complete = False
    if not complete:
        raise UserError(f"{option} {text!r} is no URL of a server", hint="Write it as http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UserError(
            f"{option} must be a plain URL, without a key or a query", hint=f"Give the key with {key_option}"
        )
    path = parts.path.rstrip("/").removesuffix(_CHAT_PATH)
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def discover(url: str, api_key: str | None, *, model: str | None, context_length: int | None) -> UpstreamModel:
    """Fills in what was not given. An upstream that is not up yet will do where everything was given."""
    try:
        entries = _read_models(url, api_key)
    except UserError:
        if model is None or context_length is None:
            raise
        return UpstreamModel(url, model, context_length, owner="")
    entry = _choose(entries, url, model)
    length = context_length or _context_length(entry)
    if length is None:
        raise UserError(
            f"{url} does not say how long the context of {entry['id']!r} is",
            hint="Give the number of tokens that the engine was started with: --context N",
        )
    owner = str(entry.get("owned_by", ""))
    sglang = _read_server_info(url, api_key) if owner in _SGLANG else {}
    return UpstreamModel(
        url,
        str(entry["id"]),
        length,
        owner,
        sglang_version=str(sglang.get("version") or ""),
        grammar_backend=str(sglang.get("grammar_backend") or ""),
        reasoning_parser=str(sglang.get("reasoning_parser") or ""),
    )


def _read_server_info(url: str, api_key: str | None) -> Mapping[str, object]:
    """SGLang's version and arguments; nothing where it does not tell them."""
    try:
        answer = _get(f"{url.removesuffix('/v1')}/server_info", api_key)
        document: object = answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _get(url: str, api_key: str | None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx.get(url, headers=headers, timeout=_TIMEOUT_S, trust_env=not is_loopback(url))


def _read_models(url: str, api_key: str | None) -> list[Mapping[str, object]]:
    try:
        answer = _get(f"{url}/models", api_key)
    except httpx.HTTPError as error:
        raise UserError(
            f"The upstream engine at {url} does not answer: {error or type(error).__name__}",
            hint="Start it first, or give both --model and --context",
        ) from error
    if answer.status_code in (401, 403):
        raise UserError(f"{url} wants a key, or another one", hint="Give it with --upstream-key-file FILE")
    try:
        document: object = answer.raise_for_status().json()
    except (httpx.HTTPStatusError, ValueError) as error:
        raise UserError(
            f"{url}/models answers {answer.status_code} and no list of models",
            hint="Check the URL (it usually ends in /v1), or give both --model and --context",
        ) from error
    match document:
        case {"data": list(entries)}:
            return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
        case _:
            raise UserError(f"{url}/models has no list of models", hint="Give both --model and --context")


def _choose(entries: list[Mapping[str, object]], url: str, model: str | None) -> Mapping[str, object]:
    names = [str(entry["id"]) for entry in entries]
    shown = ", ".join(names) or "nothing"
    if model is None:
        if len(entries) == 1:
            return entries[0]
        raise UserError(f"{url} serves {shown}", hint="Choose one with --model NAME")
    for entry in entries:
        if entry["id"] == model:
            return entry
    raise UserError(f"{url} does not serve {model!r}, but {shown}", hint="Choose one with --model NAME")


def _context_length(entry: Mapping[str, object]) -> int | None:
    """SGLang and vLLM say it; llama.cpp tells what the model was trained for, which is not what it serves."""
    length = entry.get("max_model_len")
    return length if isinstance(length, int) and length > 0 else None
