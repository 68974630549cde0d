"""The endpoint that a child's configuration describes, on whatever engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from starlette.requests import HTTPConnection

from sgcx.dialects.deepseek_r1 import DeepSeekR1
from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.http.endpoint import Endpoint
from sgcx.http.images import image_fetcher
from sgcx.planning.profile import Dialect as DialectName
from sgcx.responses.dialect import Dialect
from sgcx.responses.engine import Engine
from sgcx.responses.prompt import Sampling, ServedModel
from sgcx.responses.seal import Seal
from sgcx.server.child_config import ChildConfig
from sgcx.store.async_store import AsyncStore
from sgcx.store.sealing import AesGcmSeal, ensure_sealing_key

DIALECTS: dict[DialectName, Dialect] = {"kimi_k2": KimiK2(), "deepseek_r1": DeepSeekR1()}


def build_endpoint(config: ChildConfig, engine_for: Callable[[HTTPConnection], Engine]) -> Endpoint:
    return Endpoint(
        engine_for=engine_for,
        dialect=DIALECTS[config.dialect],
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
        images=image_fetcher(os.environ),
        heartbeat_s=config.heartbeat_s,
    )


def _seal(config: ChildConfig) -> Seal | None:
    if config.sealing_key_path is None:
        return None
    return AesGcmSeal(ensure_sealing_key(Path(config.sealing_key_path)), model=config.served_model_name)
