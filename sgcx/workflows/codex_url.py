"""`sgcx codex-config --url`: point Codex at a server that says of itself what Codex needs, a gateway for one.

`GET /models` of every sgcx server holds Codex's catalog, so that nothing has to be known of the server here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from sgcx.codex.config import CodexSettings
from sgcx.codex.installation import catalog_path, plan_changes, resolve_codex_home
from sgcx.engines.proxies import is_loopback
from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.server.api_key import read_api_key
from sgcx.workflows.codex import CodexChange
from sgcx.workflows.gateway_upstream import normalize_url
from sgcx.workflows.key_file import read_key_file

_TIMEOUT_S = 15.0
_UNAUTHORIZED = (401, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointChoice:
    """`model`: needed where the server has several. `key_file`: the server's key, where it is not this machine's."""

    url: str
    model: str | None = None
    key_file: Path | None = None


def plan_codex_config_for_url(choice: EndpointChoice, paths: Paths) -> CodexChange:
    """Raises UserError where the server does not answer, or is none of sgcx's."""
    url = normalize_url(choice.url, option="--url", key_option="--key-file")
    key, models = _ask(url, _key(choice, url, paths))
    home = resolve_codex_home(os.environ)
    settings = CodexSettings(
        base_url=url, model=_choose(models, url, choice.model), catalog_path=catalog_path(home), bearer_token=key
    )
    return CodexChange(home, plan_changes(home, settings, {"models": models}))


def _key(choice: EndpointChoice, url: str, paths: Paths) -> str | None:
    """This machine's key is for servers on this machine only."""
    if choice.key_file is not None:
        return read_key_file(choice.key_file, whose="The server's")
    return read_api_key(paths.api_key) if is_loopback(url) else None


def _ask(url: str, key: str | None) -> tuple[str | None, list[Mapping[str, object]]]:
    """The key, if the server wants one, and Codex's catalog."""
    with httpx.Client(timeout=_TIMEOUT_S, trust_env=not is_loopback(url)) as client:
        try:
            answer = client.get(f"{url}/models")
            wanted = key if answer.status_code in _UNAUTHORIZED else None
            if wanted is not None:
                answer = client.get(f"{url}/models", headers={"Authorization": f"Bearer {wanted}"})
        except httpx.HTTPError as error:
            raise UserError(
                f"{url} does not answer: {error or type(error).__name__}", hint="Start the server first"
            ) from error
    if answer.status_code in _UNAUTHORIZED:
        raise UserError(f"{url} wants a key, or another one", hint="Give it with --key-file FILE")
    return wanted, _catalog(url, answer)


def _catalog(url: str, answer: httpx.Response) -> list[Mapping[str, object]]:
    try:
        document: object = answer.raise_for_status().json()
    except (httpx.HTTPStatusError, ValueError):
        document = None
    match document:
        case {"models": [*models]} if models and all(map(_has_slug, models)):
            return models
    raise UserError(
        f"{url}/models has no catalog for Codex",
        hint="Give the address of an sgcx server; for another engine start one with `sgcx gateway --upstream URL`",
    )


def _has_slug(entry: object) -> bool:
    match entry:
        case {"slug": str()}:
            return True
        case _:
            return False


def _choose(models: list[Mapping[str, object]], url: str, model: str | None) -> str:
    slugs = [str(entry["slug"]) for entry in models]
    if model is None and len(slugs) == 1:
        return slugs[0]
    if model not in slugs:
        raise UserError(f"{url} serves {', '.join(slugs)}", hint="Choose one with --model NAME")
    return model
