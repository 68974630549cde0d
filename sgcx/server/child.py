"""The child: SGLang with our Responses endpoint in its process. Runs in the engine's environment.

`python -m sgcx.server.child CONFIG`. SGLang starts worker processes that import this module again, so all work
is in `main`. With a port behind CONFIG it is SGLang without the endpoint, on that port of this machine: what `main`
starts behind a gateway where the two cannot be one process.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from sgcx.errors import SgcxError
from sgcx.http.authentication import RequireApiKey
from sgcx.http.local_only import LocalOnly
from sgcx.http.websocket import WEBSOCKET_OPTIONS
from sgcx.server.child_config import CONFIG_VARIABLE, ChildConfig, load_child_config
from sgcx.server.garbage import freeze_after_warm_up
from sgcx.server.log_rotation import LogRotator
from sgcx.server.mount_surfaces import missing_surfaces, routes
from sgcx.server.records import announce_child, announce_gateway

MOUNT_VARIABLE = "SGLANG_EXTRA_ROUTERS"
MOUNT = "sgcx.server.mount:router"
LOG_FILE = "server.log"
LOOPBACK = "127.0.0.1"


class _Secret(str):
    """SGLang writes all its arguments to its log; this one shows as stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def main(config_path: Path) -> None:
    """Serves until it is told to stop."""
    server_dir = config_path.parent
    announce_child(server_dir)
    LogRotator(server_dir / LOG_FILE).start()
    config = load_child_config(config_path)
    os.environ[CONFIG_VARIABLE] = str(config_path)
    os.environ[MOUNT_VARIABLE] = MOUNT
    obstacle = _mount()
    if obstacle is None:
        _serve(config, config.sglang_argv)
        return
    announce_gateway(server_dir, obstacle)
    sys.stderr.write(f"sgcx: {obstacle}. The gateway serves it, in front of SGLang\n")
    from sgcx.server.mount_gateway import serve_before

    serve_before(config, partial(_start_behind, config_path))


def serve_behind(config_path: Path, port: str) -> None:
    """SGLang as it is, for the gateway: with our guard, without our endpoint."""
    config = load_child_config(config_path)
    # The last of an option counts.
    _serve(config, (*config.sglang_argv, "--host", LOOPBACK, "--port", port))


def _start_behind(config_path: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sgcx.server.child", str(config_path), str(port)]
    mounting = (CONFIG_VARIABLE, MOUNT_VARIABLE)
    return subprocess.Popen(command, env={name: value for name, value in os.environ.items() if name not in mounting})


def _serve(config: ChildConfig, argv: Sequence[str]) -> None:
    from sglang.launch_server import run_server
    from sglang.srt.server_args import prepare_server_args
    from sglang.srt.utils import kill_process_tree

    server_args = prepare_server_args(list(argv))
    key = None if config.api_key_path is None else _Secret(Path(config.api_key_path).read_text().strip())
    guard(server_args, key)
    _open_websockets()
    freeze_after_warm_up()
    try:
        run_server(server_args)
    finally:
        kill_process_tree(os.getpid(), include_parent=False)


def _mount() -> str | None:
    """What keeps SGLang from holding the endpoint, if anything does.

    It is mounted by SGLang's plugins where it has them, and else by our patch, when SGLang's server is imported.
    """
    missing = missing_surfaces()
    if missing:
        return f"SGLang {version('sglang')} cannot hold the Responses endpoint: it lacks {', '.join(missing)}"
    with contextlib.suppress(ImportError):
        from sglang.srt.plugins import load_plugins

        load_plugins()
    from sgcx.server.mount import router

    ours, *_ = router.routes
    first = next((route for route in routes() if getattr(route, "path", None) == getattr(ours, "path", None)), None)
    if first != ours:
        return f"SGLang {version('sglang')} has neither plugins nor sgcx's mount point"
    return None


def _open_websockets() -> None:
    """SGLang configures uvicorn without a word about WebSockets, which leaves them at 16 MiB a message."""
    import uvicorn

    configure: Callable[..., None] = uvicorn.Config.__init__

    @functools.wraps(configure)
    def configure_with_websockets(config: uvicorn.Config, *arguments: object, **options: object) -> None:
        configure(config, *arguments, **{**options, **WEBSOCKET_OPTIONS})

    setattr(uvicorn.Config, "__init__", configure_with_websockets)  # noqa: B010  (typed per argument)


class GuardedArgs(Protocol):
    """Of SGLang's arguments, those that say who may ask."""

    host: str
    api_key: str | None
    admin_api_key: str | None


def guard(server_args: GuardedArgs, api_key: str | None) -> None:
    """Decides who may ask what; None asks for no key.

    Our check runs before SGLang's own, so that a refusal has the envelope that clients understand. What changes the
    engine (its weights, its cache, its logging) is for an administrator, whom nobody can be: SGLang has a check
    where its arguments hold such a key, but `/server_info` shows the arguments, so the check gets another key.
    """
    from sglang.srt.utils import auth

    sglangs_own = auth.add_api_key_middleware
    server_args.api_key = api_key
    server_args.admin_api_key = _Secret(secrets.token_urlsafe(32))

    def add_api_key_middleware(app: object, **_: object) -> None:
        sglangs_own(app, api_key=api_key, admin_api_key=secrets.token_urlsafe(32))
        # Added last runs first.
        if api_key is None:
            app.add_middleware(LocalOnly, host=server_args.host)  # type: ignore[attr-defined]
        else:
            app.add_middleware(RequireApiKey, api_key=api_key)  # type: ignore[attr-defined]

    auth.add_api_key_middleware = add_api_key_middleware


if __name__ == "__main__":
    try:
        if sys.argv[2:]:
            serve_behind(Path(sys.argv[1]), sys.argv[2])
        else:
            main(Path(sys.argv[1]))
    except SgcxError as error:
        sys.exit(f"sgcx: {error.message}\n{error.hint or ''}")
