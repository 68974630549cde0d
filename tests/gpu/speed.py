"""The endpoint against the same server's own chat endpoint, and the gateway before it, in one run.

Where `PUBLISHED_SGLANG` names the folder of an SGLang without our patches, its chat endpoint takes turns with them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import orjson
from serving import MODEL, Server, serving, started

from sgcx.bench.load import Load, run_load
from sgcx.bench.wire import Protocol, Target

OUTPUT_TOKENS = 256
# prompt tokens → numbers of streams
CELLS = {1_000: (1, 8, 32, 128, 256), 16_000: (1, 32), 100_000: (1,)}
REPETITIONS = {1_000: 5, 16_000: 2, 100_000: 2}
_CHARACTERS_PER_TOKEN = 3.2
_PROCESSES = 8


@dataclass(frozen=True)
class Way:
    """One way to ask for the same tokens."""

    name: str
    target: Target
    cpu_seconds: Callable[[], float]


def measure(scratch: Path, checkpoint: Path, *, port: int) -> list[dict[str, object]]:
    argv = [
        *("--model-path", str(checkpoint), "--load-format", "dummy", "--attention-backend", "triton"),
        *("--mem-fraction-static", "0.4", "--context-length", "131072", "--chunked-prefill-size", "8192"),
        *("--cuda-graph-max-bs", "256", "--max-running-requests", "512", "--enable-cache-report"),
        *("--schedule-policy", "lpm"),
    ]
    rows: list[dict[str, object]] = []
    with ExitStack() as stack:
        server = stack.enter_context(serving(scratch / "engine", argv, port=port))
        gateway = stack.enter_context(_gateway(scratch, server, port + 1))
        ways = [
            Way("chat", Target(server.base_url, "chat"), server.cpu_seconds),
            Way("responses", Target(server.base_url, "responses"), server.cpu_seconds),
            Way("gateway", Target(gateway.base_url, "responses"), gateway.cpu_seconds),
        ]
        if folder := os.environ.get("PUBLISHED_SGLANG"):
            published = stack.enter_context(_published(scratch / "published", folder, argv, port + 100))
            ways.append(Way("published chat", Target(published.base_url, "chat"), published.cpu_seconds))
        for way in ways:
            run_load(way.target, bodies(way.target.protocol, 500, 16, salt="warm-up"), streams=8)
        for prompt_tokens, streams in CELLS.items():
            for count in streams:
                for repetition in range(REPETITIONS[prompt_tokens]):
                    for way in ways:
                        row = _cell(way, prompt_tokens, count, repetition)
                        print(row, flush=True)
                        rows.append(row)
    return rows


def _cell(way: Way, prompt_tokens: int, streams: int, repetition: int) -> dict[str, object]:
    requests = streams * 2 if prompt_tokens < 50_000 else streams
    salt = f"{way.name} {prompt_tokens} {streams} {repetition}"
    before = way.cpu_seconds()
    load = run_load(
        way.target,
        bodies(way.target.protocol, prompt_tokens, requests, salt=salt),
        streams=streams,
        processes=_PROCESSES,
    )
    return {
        "way": way.name,
        "prompt_tokens": prompt_tokens,
        "streams": streams,
        "repetition": repetition,
        **summary(load),
        "cpu_s_per_1000_tokens": round((way.cpu_seconds() - before) / max(1, load.output_tokens) * 1000, 4),
    }


def summary(load: Load) -> dict[str, object]:
    return {
        "tokens_per_s": round(load.tokens_per_second, 1),
        "ttft_p50_ms": round(load.first_token_s(0.5) * 1000, 2),
        "ttft_p99_ms": round(load.first_token_s(0.99) * 1000, 2),
        "gap_p50_ms": round(load.gap_s(0.5) * 1000, 2),
        "gap_p99_ms": round(load.gap_s(0.99) * 1000, 2),
        "token_gap_p99_ms": round(load.token_gap_s(0.99) * 1000, 2),
        "longest_gap_p50_ms": round(load.longest_gap_s(0.5) * 1000, 2),
        "longest_gap_p99_ms": round(load.longest_gap_s(0.99) * 1000, 2),
        "tokens_per_piece": round(load.output_tokens / max(1, sum(1 + len(each.gaps_s) for each in load.timings)), 2),
        "output_tokens": load.output_tokens,
        "failures": len(load.failures),
        "first_failure": load.failures[0][:300] if load.failures else None,
    }


def bodies(protocol: Protocol, prompt_tokens: int, count: int, *, salt: str) -> list[bytes]:
    """Each begins differently, so that no prompt is found in the cache."""
    return [_body(protocol, f"{salt} {index}\n" + text(prompt_tokens)) for index in range(count)]


def text(prompt_tokens: int) -> str:
    line = "def area(width, height):\n    return width * height\n"
    return line * max(1, int(prompt_tokens * _CHARACTERS_PER_TOKEN / len(line)))


def _body(protocol: Protocol, prompt: str) -> bytes:
    match protocol:
        case "responses":
            return orjson.dumps(
                {
                    "model": MODEL, "stream": True, "store": False, "input": prompt, "temperature": 0,
                    "max_output_tokens": OUTPUT_TOKENS, "reasoning": {"effort": "medium"},
                }
            )  # fmt: skip
        case "chat":
            return orjson.dumps(
                {
                    "model": MODEL, "stream": True, "stream_options": {"include_usage": True}, "temperature": 0,
                    "messages": [{"role": "user", "content": prompt}], "max_tokens": OUTPUT_TOKENS,
                }
            )  # fmt: skip


def _gateway(scratch: Path, server: Server, port: int):
    command = [
        *(sys.executable, "-m", "sgcx", "gateway", "--upstream", server.base_url, "--port", str(port)),
        *("--model", MODEL, "--context", "131072", "--dialect", "kimi_k2", "--raw", "--no-auth"),
    ]
    return started(scratch / "gateway", command, port, SGCX_HOME=str(scratch / "home"))


def _published(directory: Path, folder: str, argv: Sequence[str], port: int):
    address = ("--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port))
    command = [sys.executable, "-m", "sglang.launch_server", *argv, *address]
    return started(directory, command, port, PYTHONPATH=os.pathsep.join([folder, os.environ["PYTHONPATH"]]))
