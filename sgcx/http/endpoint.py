"""What the routes serve: one model, and the engine that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from sgcx.http.images import ImageFetcher
from sgcx.http.metrics import Metrics
from sgcx.responses.continuation.prompt_memory import PromptMemory
from sgcx.responses.continuation.storage import Storage
from sgcx.responses.dialect import Dialect
from sgcx.responses.engine import Engine
from sgcx.responses.prompt import ServedModel
from sgcx.responses.seal import Seal

REASONING_INCLUDED: Mapping[str, str] = {"x-reasoning-included": "true"}
"""Codex adds the sealed reasoning of its history, by its own estimate, to the usage that it was told, and compacts too
early, unless a header says that usage holds it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    engine_for: Callable[[HTTPConnection], Engine]
    """In SGLang's process the engine hangs on the app of the connection."""
    dialect: Dialect
    model: ServedModel
    catalog: tuple[Mapping[str, object], ...]
    """The model's entries in Codex's own catalog format."""
    storage: Storage | None = None
    """None: nothing is kept, and what would need it is refused."""
    seal: Seal | None = None
    """None: nothing is sealed, and no blob opens."""
    enforces_grammars: bool = True
    """False: behind the engine's interface the decoder cannot be bound to one."""
    images: ImageFetcher = field(default_factory=ImageFetcher)
    prompt_memory: PromptMemory = field(default_factory=PromptMemory)
    metrics: Metrics = field(default_factory=Metrics)
    heartbeat_s: float = 10.0
    peek_s: float = 2.0
    connection_limit_s: float = 3600.0
    """How long a WebSocket connection may take new requests."""
