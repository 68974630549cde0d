"""One checkpoint on one GPU and on two (tensor parallel), at the same time on different GPUs of one machine."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from prompts import bodies
from serving import WITHOUT_MULTICAST, serving, visible_gpus
from speed import summary

from sgcx.bench.load import run_load
from sgcx.bench.wire import Target

_PROMPT_TOKENS = 4_000
_STREAMS = (1, 8, 32)


def measure(scratch: Path, checkpoint: Path, *, port: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    first, second, third = visible_gpus()[:3]
    with ExitStack() as running:
        servers = {
            tp_size: running.enter_context(_serving(scratch, checkpoint, tp_size, gpus, port + 20 * tp_size))
            for tp_size, gpus in ((1, [third]), (2, [first, second]))
        }
        for server in servers.values():
            run_load(Target(server.base_url, "responses"), bodies("responses", 500, 8, salt="warm-up"), streams=8)
        for streams in _STREAMS:
            for tp_size, server in servers.items():
                sent = bodies("responses", _PROMPT_TOKENS, 2 * streams, salt=f"{tp_size} {streams}")
                load = run_load(Target(server.base_url, "responses"), sent, streams=streams, processes=8)
                row = {"tp_size": tp_size, "streams": streams, **summary(load), "stages": dict(server.stage_seconds)}
                print(row, flush=True)
                rows.append(row)
    return rows


def _serving(scratch: Path, checkpoint: Path, tp_size: int, gpus: list[str], port: int):
    argv = [
        *("--model-path", str(checkpoint), "--load-format", "dummy", "--attention-backend", "triton"),
        *("--mem-fraction-static", "0.7", "--context-length", "32768", "--chunked-prefill-size", "8192"),
        *("--cuda-graph-max-bs", "32", "--max-running-requests", "64", "--enable-cache-report"),
        *("--tp-size", str(tp_size), "--nccl-port", str(port + 7), *WITHOUT_MULTICAST),
    ]
    return serving(scratch / f"tp{tp_size}", argv, port=port, context_length=32768, CUDA_VISIBLE_DEVICES=",".join(gpus))
