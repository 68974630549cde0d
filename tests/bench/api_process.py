"""The API process alone: what it takes to pass tokens on, for the server's own chat endpoint and for ours.

    PYTHONPATH=tests python tests/bench/api_process.py [--streams 1,8,32,128,256] [--step-ms 4] [--rounds 3]

SGLang's HTTP server and tokenizer manager run as they do on a GPU, from the engine and the rehearsal checkpoint of
SGCX_HOME. The scheduler behind them computes nothing: at every step it has one token for every request. What the
process then takes for each token is what limits a server whose model is fast.
"""

from __future__ import annotations

import argparse
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import psutil
from gpu.serving import MODEL, child_config
from idle_scheduler import STEP_VARIABLE

from sgcx.bench.load import Load, run_load
from sgcx.bench.wire import Protocol, Target
from sgcx.environments.engine_specs import list_specs
from sgcx.paths import Paths
from sgcx.workflows.launch_command import rehearsal_directory
from sgcx.workflows.provision import provision_engine, provision_rehearsal

WAYS: dict[str, tuple[Protocol, dict[str, object]]] = {
    "chat": ("chat", {}),
    "responses": ("responses", {"reasoning": {}}),
    "responses, reasoning unseen": ("responses", {}),
}
_READY_S = 400
_SERVER = Path(__file__).with_name("idle_scheduler.py")


@dataclass(frozen=True)
class Cell:
    load: Load
    cpu_us: float
    """Of the API process, for each token."""


@contextmanager
def serving(step_ms: float, sglang_argv: list[str]) -> Iterator[tuple[str, psutil.Process]]:
    paths = Paths.from_environment()
    spec = next(spec for spec in list_specs() if spec.accelerator == "cpu")
    runtime = provision_engine(spec, paths, lambda _: None)
    checkpoint = rehearsal_directory(paths)
    provision_rehearsal(runtime, checkpoint)
    port = _free_port()
    argv = [
        *("--model-path", str(checkpoint), "--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port)),
        *("--device", "cpu", "--attention-backend", "torch_native", "--disable-cuda-graph"),
        *("--enable-cache-report", *sglang_argv),
    ]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "child.json")
        config.write_text(child_config(argv, context_length=32768).to_json())
        log = Path(folder, "log")
        environment = {**runtime.environment, STEP_VARIABLE: str(step_ms / 1000), "TORCHDYNAMO_DISABLE": "1"}
        with log.open("wb") as out:
            command = [str(runtime.python), str(_SERVER), str(config)]
            server = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
        try:
            _wait_until_ready(server, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}", psutil.Process(server.pid)
        finally:
            _end(server)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(server: subprocess.Popen[bytes], base_url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{base_url}/model_info").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise SystemExit(f"The server did not start:\n{log.read_text()[-3000:]}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """The tokenizer manager's own end waits for a scheduler that would answer."""
    family = [*psutil.Process(server.pid).children(recursive=True), psutil.Process(server.pid)]
    for process in family:
        process.send_signal(signal.SIGKILL)
    server.wait()


def _body(protocol: Protocol, salt: str, tokens: int, said: dict[str, object]) -> bytes:
    prompt = f"{salt} " + "def area(width, height): return width * height\n" * 20
    if protocol == "responses":
        limit = {"input": prompt, "max_output_tokens": tokens, "store": False, **said}
    else:
        messages = [{"role": "user", "content": prompt}]
        limit = {"messages": messages, "max_tokens": tokens, "stream_options": {"include_usage": True}}
    return orjson.dumps({"model": MODEL, "stream": True, **limit})


def _measure(base_url: str, server: psutil.Process, way: str, streams: int, arguments: argparse.Namespace) -> Cell:
    protocol, said = WAYS[way]
    count = max(streams, 4) if streams < 64 else streams * 2
    bodies = [_body(protocol, f"{way} {number}", arguments.tokens, said) for number in range(count)]
    before = sum(server.cpu_times()[:2])
    load = run_load(Target(base_url, protocol), bodies, streams=streams)
    if load.failures:
        raise SystemExit(load.failures[0])
    return Cell(load, (sum(server.cpu_times()[:2]) - before) / load.output_tokens * 1e6)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--streams", default="1,8,32,128,256")
    options.add_argument("--step-ms", type=float, default=4.0, help="from one token of a request to the next")
    options.add_argument("--tokens", type=int, default=256, help="in each answer")
    options.add_argument("--rounds", type=int, default=3)
    arguments, sglang_argv = options.parse_known_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server ends with us, however we end
    with serving(arguments.step_ms, sglang_argv) as (base_url, server):
        for way in WAYS:
            _measure(base_url, server, way, 8, arguments)
        print("streams way                             tok/s  ratio  TTFT ms  gap p50, p99, longest ms  CPU us/token")
        for streams in map(int, arguments.streams.split(",")):
            cells: dict[str, list[Cell]] = {way: [] for way in WAYS}
            for _ in range(arguments.rounds):
                for way, found in cells.items():
                    found.append(_measure(base_url, server, way, streams, arguments))
            _print_rows(streams, cells)


def _print_rows(streams: int, cells: dict[str, list[Cell]]) -> None:
    unit = statistics.median(cell.load.tokens_per_second for cell in cells["chat"])
    for way, found in cells.items():
        rate = statistics.median(cell.load.tokens_per_second for cell in found)
        first = statistics.median(cell.load.first_token_s(0.5) for cell in found) * 1000
        gaps = [statistics.median(cell.load.gap_s(share) for cell in found) * 1000 for share in (0.5, 0.99)]
        longest = max(cell.load.longest_gap_s(1) for cell in found) * 1000
        cpu_us = statistics.median(cell.cpu_us for cell in found)
        print(
            f"{streams:7} {way:28} {rate:8.0f} {rate / unit:6.2f} {first:8.1f} {gaps[0]:8.1f} {gaps[1]:7.1f}"
            f" {longest:8.1f} {cpu_us:13.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
