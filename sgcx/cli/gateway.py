"""`sgcx gateway`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgcx.cli.options import Json, NoAuth

if TYPE_CHECKING:
    from sgcx.planning.profile import Dialect
    from sgcx.workflows.gateway import Gateway


def register(app: typer.Typer) -> None:
    app.command("gateway")(gateway)


def gateway(
    upstream: Annotated[str, typer.Option(help="The engine's URL, as http://127.0.0.1:8000/v1.")],
    model: Annotated[str | None, typer.Option(help="The engine's name for the model, if it serves several.")] = None,
    served_model_name: Annotated[str | None, typer.Option(help="What clients call it; the engine's name.")] = None,
    dialect: Annotated[str | None, typer.Option(help="kimi_k2 or deepseek_r1; from the model's name.")] = None,
    context: Annotated[int | None, typer.Option(min=1, help="Context length in tokens; as the engine says.")] = None,
    images: Annotated[bool, typer.Option("--images", help="The model sees images.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The engine runs without tool and reasoning parsers.")] = False,
    reasoning_opened: Annotated[
        bool, typer.Option(help="With --raw: the chat template opens the reasoning itself.")
    ] = True,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 30001,
    no_auth: NoAuth = False,
    upstream_key_file: Annotated[
        Path | None, typer.Option(help="File with the engine's API key; else $SGCX_UPSTREAM_API_KEY.")
    ] = None,
    json: Json = False,
) -> None:
    """Serve the Responses API in front of any engine with /v1/chat/completions, until Ctrl-C."""
    from sgcx.cli import render
    from sgcx.paths import Paths
    from sgcx.workflows.gateway import GatewayOptions, prepare_gateway, serve_gateway

    options = GatewayOptions(
        upstream=upstream,
        model=model,
        served_model_name=served_model_name,
        dialect=_dialect(dialect),
        context_length=context,
        images=images,
        raw=raw,
        reasoning_opened=reasoning_opened,
        host=host,
        port=port,
        authentication=not no_auth,
        upstream_key_file=upstream_key_file,
    )
    if no_auth and host not in ("127.0.0.1", "localhost", "::1"):
        render.warn(f"without a key, everybody who reaches {host}:{port} can use this gateway")
    prepared = prepare_gateway(options, Paths.from_environment())
    _log_to_stderr()
    try:
        serve_gateway(prepared, on_ready=lambda: _show(prepared, as_json=json))
    except KeyboardInterrupt:
        render.note("Stopped")


def _show(gateway: Gateway, *, as_json: bool) -> None:
    import sys

    from sgcx.cli import render

    model = gateway.model
    if as_json:
        render.print_json(
            {
                "base_url": gateway.base_url,
                "model": model.name,
                "api_key_file": str(gateway.api_key_path) if gateway.api_key_path else None,
                "context_length": model.context_length,
                "dialect": model.dialect,
                "images": model.images,
                "profile": model.profile,
                "upstream": {"url": gateway.upstream.url, "model": gateway.upstream.model},
            }
        )
    else:
        known = f"profile {model.profile}" if model.profile else "no profile"
        render.print_pairs(
            [
                ("Endpoint", gateway.base_url),
                ("Model", f"{model.name} ({model.dialect}, {model.context_length} tokens, {known})"),
                ("Upstream", f"{gateway.upstream.url} ({gateway.upstream.model})"),
                ("Key", f"in {gateway.api_key_path}" if gateway.api_key_path else "none is asked for"),
                ("Stop", "Ctrl-C"),
            ]
        )
    sys.stdout.flush()


def _log_to_stderr() -> None:
    """One line per response; the HTTP client's own line for each would only repeat it."""
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _dialect(name: str | None) -> Dialect | None:
    from sgcx.errors import UserError

    match name:
        case None | "kimi_k2" | "deepseek_r1":
            return name
        case _:
            raise UserError(f"--dialect {name!r} does not exist", hint="Choose kimi_k2 or deepseek_r1")
