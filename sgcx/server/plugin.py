"""Mounts the Responses endpoint in SGLang's process through its own plugin entry points, from 0.5.11 on.

An SGLang that finds sgcx among its packages calls `mount` in every one of its processes, whoever started it.
"""

from __future__ import annotations

import multiprocessing
import os

from sgcx.server.child_config import CONFIG_VARIABLE
from sgcx.server.mount_surfaces import missing_surfaces, routes


def mount() -> None:
    """Puts our routes before SGLang's own. Does nothing in its workers, and in an SGLang that sgcx did not start."""
    if CONFIG_VARIABLE not in os.environ or multiprocessing.parent_process() is not None or missing_surfaces():
        return
    from sgcx.server.mount import router

    routes()[:0] = router.routes
