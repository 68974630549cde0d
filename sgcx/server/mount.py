"""The routes that SGLang mounts. Importing this module builds them: that is what a mount point is.

The composition root: router, engine and dialect meet here and nowhere else.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from starlette.requests import HTTPConnection

from sgcx.dialects.deepseek_r1 import DeepSeekR1
from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.engines.sglang import SglangEngine
from sgcx.http.endpoint import Endpoint
from sgcx.http.router import create_router
from sgcx.planning.profile import Dialect as DialectName
from sgcx.responses.dialect import Dialect
from sgcx.responses.engine import Engine
from sgcx.responses.prompt import Sampling, ServedModel
from sgcx.responses.seal import Seal
from sgcx.server.child_config import CONFIG_VARIABLE, ChildConfig, load_child_config
from sgcx.store.async_store import AsyncStore
from sgcx.store.sealing import AesGcmSeal, ensure_sealing_key

_DIALECTS: dict[DialectName, Dialect] = {"kimi_k2": KimiK2(), "deepseek_r1": DeepSeekR1()}


def _engine(dialect: Dialect, connection: HTTPConnection) -> Engine:
    return SglangEngine(connection.app.state.openai_serving_chat, dialect, connection)


def build_endpoint(config: ChildConfig) -> Endpoint:
    dialect = _DIALECTS[config.dialect]
    return Endpoint(
        engine_for=partial(_engine, dialect),
        dialect=dialect,
        model=ServedModel(
            name=config.served_model_name,
            context_length=config.context_length,
            images=config.images,
            always_thinks=config.always_thinks,
            thinking_sampling=Sampling(config.thinking_temperature, config.thinking_top_p),
            instant_sampling=Sampling(config.instant_temperature, config.instant_top_p),
        ),
        catalog=config.catalog,
        storage=None if config.store_path is None else AsyncStore(Path(config.store_path)),
        seal=_seal(config),
        heartbeat_s=config.heartbeat_s,
    )


def _seal(config: ChildConfig) -> Seal | None:
    if config.sealing_key_path is None:
        return None
    return AesGcmSeal(ensure_sealing_key(Path(config.sealing_key_path)), model=config.served_model_name)


router = create_router(build_endpoint(load_child_config(Path(os.environ[CONFIG_VARIABLE]))))
