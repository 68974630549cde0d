"""The child: SGLang with our Responses endpoint in its process. Runs in the engine's environment.

`python -m sgcx.server.child CONFIG`. SGLang starts worker processes that import this module again, so all work
is in `main`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from sgcx.errors import SgcxError, UserError
from sgcx.http.authentication import RequireApiKey
from sgcx.http.local_only import LocalOnly
from sgcx.http.websocket import WEBSOCKET_OPTIONS
from sgcx.server.child_config import CONFIG_VARIABLE, ChildConfig, load_child_config
from sgcx.server.log_rotation import LogRotator
from sgcx.server.mount_surfaces import missing_surfaces, routes
from sgcx.server.records import announce_child

MOUNT_VARIABLE = "SGLANG_EXTRA_ROUTERS"
MOUNT = "sgcx.server.mount:router"
LOG_FILE = "server.log"


class _Secret(str):
    """SGLang writes all its arguments to its log; this one shows as stars."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def main(config_path: Path) -> None:
    server_dir = config_path.parent
    announce_child(server_dir)
    LogRotator(server_dir / LOG_FILE).start()
    config = load_child_config(config_path)
    os.environ[CONFIG_VARIABLE] = str(config_path)
    os.environ[MOUNT_VARIABLE] = MOUNT
    _serve(config)


def _serve(config: ChildConfig) -> None:
    from sglang.launch_server import run_server
    from sglang.srt.server_args import prepare_server_args
    from sglang.srt.utils import kill_process_tree

    _mount()
    server_args = prepare_server_args(list(config.sglang_argv))
    key = None if config.api_key_path is None else _Secret(Path(config.api_key_path).read_text().strip())
    guard(server_args, key)
    _open_websockets()
    try:
        run_server(server_args)
    finally:
        kill_process_tree(os.getpid(), include_parent=False)


def _mount() -> None:
    """By SGLang's plugins where it has them, and else by our patch, which has done it when the server was imported."""
    missing = missing_surfaces()
    if missing:
        raise UserError(
            f"SGLang {version('sglang')} cannot hold the Responses endpoint: it lacks {', '.join(missing)}",
            hint="Start this SGLang by itself, and `sgcx gateway --upstream URL` in front of it",
        )
    with contextlib.suppress(ImportError):
        from sglang.srt.plugins import load_plugins

        load_plugins()
    _check_mounted()


def _check_mounted() -> None:
    from sgcx.server.mount import router

    ours, *_ = router.routes
    first = next((route for route in routes() if getattr(route, "path", None) == getattr(ours, "path", None)), None)
    if first != ours:
        raise UserError(
            "The Responses endpoint is not mounted: this SGLang has neither plugins nor the mount-point patch",
            hint="`sgcx up` starts one that has",
        )


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
        main(Path(sys.argv[1]))
    except SgcxError as error:
        sys.exit(f"sgcx: {error.message}\n{error.hint or ''}")
