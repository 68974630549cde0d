"""The rehearsal's script, spoken by a checkpoint with Kimi K2's layers on GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from serving import WITHOUT_MULTICAST, Server, serving

from sgcx.codex.catalog import CatalogModel

CONTEXT_LENGTH = 32768


@contextmanager
def serving_script(
    directory: Path, checkpoint: Path, *, port: int, tp_size: int, catalog: Sequence[CatalogModel] = ()
) -> Iterator[Server]:
    """Without CUDA graphs: the script is Python, which a graph does not replay."""
    argv = [
        *("--model-path", str(checkpoint), "--load-format", "dummy", "--attention-backend", "triton"),
        *("--mem-fraction-static", "0.5", "--context-length", str(CONTEXT_LENGTH), "--chunked-prefill-size", "8192"),
        *("--disable-cuda-graph", "--disable-overlap-schedule", "--enable-cache-report", "--schedule-policy", "lpm"),
        *("--reasoning-parser", "kimi_k2", "--grammar-backend", "xgrammar"),
        *("--tp-size", str(tp_size), "--nccl-port", str(port + 7), *WITHOUT_MULTICAST),
    ]
    models = {"SGLANG_EXTERNAL_MODEL_PACKAGE": "sgcx.rehearsal.sglang_models"}
    with serving(directory, argv, port=port, context_length=CONTEXT_LENGTH, catalog=catalog, **models) as server:
        yield server
