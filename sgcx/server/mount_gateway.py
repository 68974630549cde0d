"""For an SGLang that cannot hold the endpoint in its process: the endpoint before it, where clients expect it.

SGLang serves chat completions on a port of this machine's own. The gateway asks it, and has the address, the key and
the place in the log that SGLang would have had; its `/v1/chat/completions` is then for the gateway alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from sgcx.engines.chat import ChatEngine
from sgcx.engines.chat_request import Upstream
from sgcx.engines.sglang_arguments import decodes_any_arguments
from sgcx.engines.structural_tags import takes_structural_tags
from sgcx.http.gateway import build_app, serve
from sgcx.server.child_config import ChildConfig
from sgcx.server.mount_endpoint import DIALECTS, build_endpoint
from sgcx.server.ports import free_port

_LOOPBACK = "127.0.0.1"
_STOP_S = 20.0


def serve_before(config: ChildConfig, start: Callable[[int], subprocess.Popen[bytes]]) -> None:
    """Serves until it is told to stop, or SGLang ends, whose exit code it then has. `start` takes SGLang's port."""
    host, port = _option(config.sglang_argv, "--host"), int(_option(config.sglang_argv, "--port"))
    key = None if config.api_key_path is None else Path(config.api_key_path).read_text().strip()
    inner_port = free_port(_LOOPBACK)
    sglang_version = version("sglang")
    upstream = Upstream(
        url=f"http://{_LOOPBACK}:{inner_port}/v1",
        model=config.served_model_name,
        verbatim_arguments=decodes_any_arguments(sglang_version),
        grammar_dialect=DIALECTS[config.dialect] if _takes_structural_tags(config, sglang_version) else None,
    )
    engine = ChatEngine(upstream, api_key=key)
    endpoint = build_endpoint(config, lambda _: engine)
    endpoint = replace(endpoint, enforces_grammars=upstream.grammar_dialect is not None)
    app = build_app(endpoint, engine, api_key=key, host=host)
    sglang = start(inner_port)
    try:
        # The HTTP server finishes its answers first, and then lets the signal through.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(sglang.poll() or 0))
        threading.Thread(target=_stop_with, args=(sglang,), daemon=True).start()
        serve(app, host=host, port=port, on_ready=lambda: None)
    finally:
        _end(sglang)


def _takes_structural_tags(config: ChildConfig, sglang_version: str) -> bool:
    argv = config.sglang_argv
    backend = _option(argv, "--grammar-backend") if "--grammar-backend" in argv else "xgrammar"
    parser = _option(argv, "--reasoning-parser") if "--reasoning-parser" in argv else ""
    return takes_structural_tags(sglang_version, grammar_backend=backend, reasoning_parser=parser)


def _option(argv: Sequence[str], name: str) -> str:
    return argv[argv.index(name) + 1]


def _stop_with(sglang: subprocess.Popen[bytes]) -> None:
    sglang.wait()
    os.kill(os.getpid(), signal.SIGTERM)


def _end(sglang: subprocess.Popen[bytes]) -> None:
    """Its workers too: they share the server's marker, by which `sgcx down` finds those that outlive it."""
    sglang.terminate()
    try:
        sglang.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        sglang.kill()
