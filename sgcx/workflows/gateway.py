"""`sgcx gateway`: the Responses endpoint in front of an engine that somebody else started.

The composition root of the gateway: router, chat engine and dialect meet here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette

from sgcx.codex.catalog import catalog_entries
from sgcx.engines.chat import ChatEngine
from sgcx.engines.chat_request import RawText, Upstream
from sgcx.engines.sglang_arguments import decodes_any_arguments
from sgcx.engines.structural_tags import takes_structural_tags
from sgcx.http.endpoint import Endpoint
from sgcx.http.gateway import build_app, serve
from sgcx.http.images import image_fetcher
from sgcx.paths import Paths
from sgcx.planning.profile import Dialect as DialectName
from sgcx.responses.prompt import Sampling, ServedModel
from sgcx.server.api_key import ensure_api_key
from sgcx.server.mount_endpoint import DIALECTS
from sgcx.server.ports import client_url, free_port, require_free_port
from sgcx.store.async_store import AsyncStore
from sgcx.store.sealing import AesGcmSeal, ensure_sealing_key
from sgcx.workflows.gateway_model import GatewayModel, describe_model
from sgcx.workflows.gateway_upstream import UpstreamModel, discover, normalize_url
from sgcx.workflows.key_file import read_key_file

UPSTREAM_KEY_VARIABLE = "SGCX_UPSTREAM_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """None stands for "find out"."""

    upstream: str
    model: str | None = None
    served_model_name: str | None = None
    dialect: DialectName | None = None
    context_length: int | None = None
    images: bool = False
    raw: bool = False
    """The upstream was started without parsers."""
    reasoning_opened: bool = True
    host: str = "127.0.0.1"
    port: int = 30001
    authentication: bool = True
    upstream_key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything decided, nothing started."""

    app: Starlette
    base_url: str
    host: str
    port: int
    upstream: UpstreamModel
    model: GatewayModel
    api_key_path: Path | None


def prepare_gateway(options: GatewayOptions, paths: Paths) -> Gateway:
    """Raises UserError where an option, or what the upstream says, leaves something open."""
    url = normalize_url(options.upstream, option="--upstream", key_option="--upstream-key-file")
    upstream_key = _upstream_key(options.upstream_key_file)
    found = discover(url, upstream_key, model=options.model, context_length=options.context_length)
    model = describe_model(
        found,
        served_model_name=options.served_model_name,
        dialect=options.dialect,
        images=options.images,
        profiles=paths.user_profiles,
    )
    port = options.port or free_port(options.host)
    require_free_port(options.host, port)
    api_key = ensure_api_key(paths.api_key) if options.authentication else None
    return Gateway(
        app=_app(options, found, model, paths, upstream_key=upstream_key, api_key=api_key),
        base_url=f"{client_url(options.host, port)}/v1",
        host=options.host,
        port=port,
        upstream=found,
        model=model,
        api_key_path=paths.api_key if options.authentication else None,
    )


def serve_gateway(gateway: Gateway, on_ready: Callable[[], None]) -> None:
    """Until Ctrl-C, which raises KeyboardInterrupt, or SIGTERM."""
    serve(gateway.app, host=gateway.host, port=gateway.port, on_ready=on_ready)


def _app(
    options: GatewayOptions,
    found: UpstreamModel,
    model: GatewayModel,
    paths: Paths,
    *,
    upstream_key: str | None,
    api_key: str | None,
) -> Starlette:
    dialect = DIALECTS[model.dialect]
    upstream = Upstream(
        url=found.url,
        model=found.model,
        verbatim_arguments=decodes_any_arguments(found.sglang_version),
        raw=RawText(dialect, options.reasoning_opened) if options.raw else None,
        grammar_dialect=dialect if _takes_structural_tags(found) else None,
        tokenize_url=f"{found.url.removesuffix('/v1')}/tokenize" if found.owner == "vllm" else None,
    )
    engine = ChatEngine(upstream, api_key=upstream_key)
    endpoint = Endpoint(
        engine_for=lambda _: engine,
        dialect=dialect,
        model=ServedModel(
            name=model.name,
            context_length=model.context_length,
            images=model.images,
            always_thinks=model.always_thinks,
            thinking_sampling=Sampling(model.thinking_sampling.temperature, model.thinking_sampling.top_p),
            instant_sampling=Sampling(model.instant_sampling.temperature, model.instant_sampling.top_p),
        ),
        catalog=tuple(catalog_entries([model.catalog_model])),
        storage=AsyncStore(paths.responses),
        seal=AesGcmSeal(ensure_sealing_key(paths.sealing_key), model=model.name),
        images=image_fetcher(os.environ),
        enforces_grammars=upstream.grammar_dialect is not None,
    )
    return build_app(endpoint, engine, api_key=api_key, host=options.host)


def _takes_structural_tags(found: UpstreamModel) -> bool:
    return takes_structural_tags(
        found.sglang_version, grammar_backend=found.grammar_backend, reasoning_parser=found.reasoning_parser
    )


def _upstream_key(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(UPSTREAM_KEY_VARIABLE) or None
    return read_key_file(file, whose="The upstream's")
