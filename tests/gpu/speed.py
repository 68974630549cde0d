"""Ways to ask for the same tokens, side by side in one run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from prompts import OUTPUT_TOKENS, bodies
from serving import MODEL, Server, serving, started

from sgcx.bench.load import Load, run_load
from sgcx.bench.wire import Protocol, Target

# prompt tokens → numbers of streams
CELLS = {1_000: (1, 8, 32, 128, 256), 16_000: (1, 32), 100_000: (1,)}
REPETITIONS = {1_000: 4, 16_000: 2, 100_000: 2}
CELLS_OF_RELEASES = {1_000: (8, 32, 128, 256)}
REPETITIONS_OF_RELEASES = {1_000: 4}
_MOST_PROCESSES = 8
_NEWER = ("--cuda-graph-backend-prefill", "disabled")
"""Without graphs of its prefills, which 0.5.10.post1 has here: 0.5.16's first tokens come late for that reason, too."""
_COMPILED_S = 600
"""A release whose kernels nobody has compiled on this host yet."""


@dataclass(frozen=True)
class Way:
    """One way to ask for the same tokens."""

    name: str
    target: Target
    cpu_seconds: Callable[[], float]
    asked_tokens: int = OUTPUT_TOKENS
    """0.5.16's own Responses endpoint gives two fewer than it is asked for."""

    def bodies(self, prompt_tokens: int, count: int, *, salt: str) -> list[bytes]:
        return bodies(self.target.protocol, prompt_tokens, count, salt=salt, output_tokens=self.asked_tokens)

    @classmethod
    def of(cls, name: str, server: Server, protocol: Protocol, asked_tokens: int = OUTPUT_TOKENS) -> Way:
        return cls(name, Target(server.base_url, protocol), server.cpu_seconds, asked_tokens)


def measure(scratch: Path, checkpoint: Path, *, port: int) -> list[dict[str, object]]:
    """Our endpoint, the same server's chat endpoint, the gateway before it; and SGLang's chat endpoint as published,
    where `PUBLISHED_SGLANG` names its folder."""
    argv = server_argv(checkpoint)
    with ExitStack() as stack:
        server = stack.enter_context(serving(scratch / "engine", argv, port=port))
        gateway = stack.enter_context(_gateway(scratch, server, port + 1))
        ways = [
            Way.of("chat", server, "chat"),
            Way.of("responses", server, "responses"),
            Way.of("gateway", gateway, "responses"),
        ]
        if folder := os.environ.get("PUBLISHED_SGLANG"):
            published = stack.enter_context(_release(scratch / "published", folder, argv, port + 100))
            ways.append(Way.of("published chat", published, "chat"))
        return _compare(ways, CELLS, REPETITIONS)


def measure_releases(scratch: Path, checkpoint: Path, *, port: int) -> list[dict[str, object]]:
    """Our endpoint, the chat endpoint of the same SGLang as published, and both endpoints of 0.5.16, whose folder
    `SGLANG_0_5_16` names."""
    argv = server_argv(checkpoint)
    with ExitStack() as stack:
        server = stack.enter_context(serving(scratch / "engine", argv, port=port))
        published = stack.enter_context(
            _release(scratch / "published", os.environ["PUBLISHED_SGLANG"], argv, port + 100)
        )
        newer = stack.enter_context(
            _release(scratch / "newer", os.environ["SGLANG_0_5_16"], [*argv, *_NEWER], port + 200)
        )
        ways = [
            Way.of("chat", server, "chat"),
            Way.of("responses", server, "responses"),
            Way.of("published chat", published, "chat"),
            Way.of("0.5.16 chat", newer, "chat"),
            Way.of("0.5.16 responses", newer, "responses", OUTPUT_TOKENS + 2),
        ]
        return _compare(ways, CELLS_OF_RELEASES, REPETITIONS_OF_RELEASES)


def server_argv(checkpoint: Path) -> list[str]:
    return [
        *("--model-path", str(checkpoint), "--load-format", "dummy", "--attention-backend", "triton"),
        *("--mem-fraction-static", "0.3", "--context-length", "131072", "--chunked-prefill-size", "8192"),
        *("--cuda-graph-max-bs", "256", "--max-running-requests", "512", "--enable-cache-report"),
        *("--schedule-policy", "lpm"),
        # A server that waits for its turn would keep a processor busy with asking for work.
        "--sleep-on-idle",
    ]


def _compare(
    ways: Sequence[Way], cells: Mapping[int, Sequence[int]], repetitions: Mapping[int, int]
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for way in ways:
        run_load(way.target, way.bodies(500, 16, salt="warm-up"), streams=8)
    for prompt_tokens, streams in cells.items():
        for count in streams:
            for repetition in range(repetitions[prompt_tokens]):
                for way in ways:
                    row = _cell(way, prompt_tokens, count, repetition)
                    print(row, flush=True)
                    rows.append(row)
    return rows


def _cell(way: Way, prompt_tokens: int, streams: int, repetition: int) -> dict[str, object]:
    salt = f"{way.name} {prompt_tokens} {streams} {repetition}"
    before = way.cpu_seconds()
    load = run_load(
        way.target,
        way.bodies(prompt_tokens, _requests(prompt_tokens, streams), salt=salt),
        streams=streams,
        processes=min(_MOST_PROCESSES, max(1, streams // 4)),
    )
    return {
        "way": way.name,
        "prompt_tokens": prompt_tokens,
        "streams": streams,
        "repetition": repetition,
        **summary(load),
        "cpu_s_per_1000_tokens": round((way.cpu_seconds() - before) / max(1, load.output_tokens) * 1000, 4),
    }


def _requests(prompt_tokens: int, streams: int) -> int:
    """Two for each stream, and more of short ones where few streams would be done within a second."""
    if prompt_tokens >= 50_000:
        return streams
    return streams * 2 if prompt_tokens >= 10_000 else max(streams * 2, min(64, streams * 8))


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


def _gateway(scratch: Path, server: Server, port: int):
    command = [
        *(sys.executable, "-m", "sgcx", "gateway", "--upstream", server.base_url, "--port", str(port)),
        *("--model", MODEL, "--context", "131072", "--dialect", "kimi_k2", "--raw", "--no-auth"),
    ]
    return started(scratch / "gateway", command, port, SGCX_HOME=str(scratch / "home"))


def _release(directory: Path, folder: str, argv: Sequence[str], port: int):
    """SGLang from `folder`, as it is there."""
    address = ("--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port))
    command = [sys.executable, "-m", "sglang.launch_server", *argv, *address]
    python_path = os.pathsep.join([folder, os.environ["PYTHONPATH"]])
    return started(directory, command, port, ready_s=_COMPILED_S, PYTHONPATH=python_path)
