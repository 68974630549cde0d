"""What an engine made while it started is left out of garbage collection.

It is some hundred thousand objects that live as long as the process. Python looks through all of them again each time
that a quarter as many new ones have survived, and meanwhile the process stands still, and with it every stream: half a
second at a time in the API process beside an H200, more than a quarter of its time at worst (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
from functools import partial

logger = logging.getLogger(__name__)

_SGLANGS_OWN = "_freeze_gc_after_server_warmup"
_CALLBACK = "launch_callback"
_NOT_FROZEN = "The start's objects stay under garbage collection: streams may stand still"
_FREEZE_S = 30.0


def freeze_after_warm_up() -> None:
    """From now on a server of this process freezes what is there after its warm-up, in its workers, too.

    SGLang asks itself to do so over HTTP in its newest releases, which takes the administrator's key, and nobody has
    that (`child.guard`).
    """
    from sglang.srt.entrypoints import http_server

    if hasattr(http_server, _SGLANGS_OWN):
        setattr(http_server, _SGLANGS_OWN, lambda *_, **__: _freeze())
    elif _CALLBACK in inspect.signature(http_server.launch_server).parameters:
        http_server.launch_server = partial(http_server.launch_server, **{_CALLBACK: _freeze})
    else:
        logger.warning(_NOT_FROZEN)


def _freeze() -> None:
    """Runs in the thread of the warm-up, which no failure here may end: in the newest releases the server is not ready
    before. A server that was not warmed up has no loop yet, and stays as it is."""
    from sglang.srt.entrypoints import http_server

    try:
        manager = http_server.get_global_state().tokenizer_manager
        if manager.event_loop is None:
            return
        asyncio.run_coroutine_threadsafe(manager.freeze_gc(), manager.event_loop).result(_FREEZE_S)
    except Exception:
        logger.warning(_NOT_FROZEN, exc_info=True)
        return
    logger.info("%d objects of the start are left out of garbage collection", gc.get_freeze_count())
