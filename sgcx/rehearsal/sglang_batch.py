"""What SGLang moves from one release to the next: the tables of the batch that runs, and the server's arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any  # SGLang's objects have no types to name


def pools(batch: Any) -> tuple[Any, Any]:
    """The table of every request's KV slots, and the KV pool. Only while a forward pass runs."""
    try:
        from sglang.srt.model_executor.forward_context import get_req_to_token_pool, get_token_to_kv_pool
    except ImportError:  # before 0.5.16 they hang on the batch
        return batch.req_to_token_pool, batch.token_to_kv_pool
    return get_req_to_token_pool(), get_token_to_kv_pool()


def checkpoint_directory() -> Path:
    try:
        from sglang.srt.runtime_context import get_server_args
    except ImportError:  # before 0.5.16
        from sglang.srt.server_args import get_global_server_args as get_server_args
    return Path(get_server_args().model_path)
