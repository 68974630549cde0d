"""The routes that SGLang mounts. Importing this module builds them: that is what a mount point is.

The composition root: router, engine and dialect meet here and nowhere else.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from starlette.requests import HTTPConnection
from starlette.routing import Router

from sgcx.engines.pacing import ProcessPace
from sgcx.engines.sglang import SglangEngine
from sgcx.engines.sglang_arguments import decode_any_arguments
from sgcx.http.router import create_router
from sgcx.responses.dialect import Dialect
from sgcx.responses.engine import Engine
from sgcx.server.child_config import CONFIG_VARIABLE, load_child_config
from sgcx.server.mount_endpoint import DIALECTS, build_endpoint


def _engine(dialect: Dialect, pace: ProcessPace, connection: HTTPConnection) -> Engine:
    return SglangEngine(connection.app.state.openai_serving_chat, dialect, connection, pace)


def _build() -> Router:
    decode_any_arguments()
    config = load_child_config(Path(os.environ[CONFIG_VARIABLE]))
    return create_router(build_endpoint(config, partial(_engine, DIALECTS[config.dialect], ProcessPace())))


router = _build()
