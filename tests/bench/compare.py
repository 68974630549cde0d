"""The endpoint and the gateway against what else one could use, side by side, in one run.

    python tests/bench/compare.py endpoint [--sglang 0.5.23] [--native http://127.0.0.1:31023]
    python tests/bench/compare.py gateway --litellm /path/to/venv/bin/litellm
    python tests/bench/compare.py memory

`endpoint` and `memory` start the rehearsal model on the CPU engine (of SGCX_HOME); `gateway` needs no engine.
`--native` is another server of the same rehearsal model with a Responses endpoint of its own:
`python tests/published_sglang.py 0.5.23 --port 31023` is one.
The ways take turns, each figure is a median with the quartiles behind it, and the last column is the ratio to the
first way. Times on a busy machine say little, the ratios of one run say more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import orjson
import psutil

from sgcx.bench.load import Load, run_load
from sgcx.bench.wire import Protocol, Target, stream
from sgcx.planning.driver import SGLANG_VERSION

STREAMS = (1, 16, 64)
LARGE_BYTES = 800_000
_READY_S = 400
_LIVE = {"store": False, "reasoning": {}}
"""Nothing is kept, and reasoning is streamed, as chat streams it: it is what comes first."""
_LINE = "-" * 64 + " row\n"
"""Of few tokens: what is long in bytes should not be long for the tiny model."""
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Way:
    name: str
    target: Target
    model: str
    process: psutil.Process | None

    def cpu_s(self) -> float:
        """Of the process that answers HTTP, so far."""
        if self.process is None:
            return 0.0
        # The clock that clock_getcpuclockid(3) names; /proc counts hundredths of a second, which is several requests.
        return sum(time.clock_gettime(~member.pid << 3 | 2) for member in (self.process, *self._workers()))

    def _workers(self) -> list[psutil.Process]:
        """SGLang's other processes have names of their own."""
        return [child for child in self.process.children() if "sglang::" not in " ".join(child.cmdline())[:9]]

    def load(
        self, prompts: list[str], streams: int, *, output_tokens: int | None = None, history_bytes: int = 0
    ) -> Load:
        bodies = [self.body(prompt, output_tokens, history_bytes) for prompt in prompts]
        return run_load(self.target, bodies, streams=streams)

    def body(self, prompt: str, output_tokens: int | None = None, history_bytes: int = 0) -> bytes:
        history = exchanges(self.target.protocol, history_bytes)
        said = {"role": "user", "content": prompt}
        shared = {"model": self.model, "stream": True, "temperature": 0}
        if self.target.protocol == "chat":
            limit = {} if output_tokens is None else {"max_tokens": output_tokens}
            messages = [{"role": "user", "content": "begin"}, *history, said]
            return orjson.dumps({**shared, **limit, "messages": messages, "stream_options": {"include_usage": True}})
        limit = {} if output_tokens is None else {"max_output_tokens": output_tokens}
        return orjson.dumps(
            {**shared, **limit, **_LIVE, "input": [{"role": "user", "content": "begin"}, *history, said]}
        )


def exchanges(protocol: Protocol, size_bytes: int) -> list[dict]:
    """Calls and their outputs, 4 kB each, as coding sessions are made of."""
    history: list[dict] = []
    for number in range(size_bytes // 4000):
        # The ids that Kimi's prompts have, so that a chat and a response share the prefix cache.
        call_id, output = f"functions.exec_command:{number}", f"{number}\n" + _LINE * (3900 // len(_LINE))
        if protocol == "chat":
            call = {
                "id": call_id,
                "type": "function",
                "function": {"name": "exec_command", "arguments": '{"cmd":"ls"}'},
            }
            history.append({"role": "assistant", "content": None, "tool_calls": [call]})
            history.append({"role": "tool", "tool_call_id": call_id, "content": output})
        else:
            name = {"name": "exec_command", "arguments": '{"cmd":"ls"}'}
            history.append({"type": "function_call", "call_id": call_id, **name})
            history.append({"type": "function_call_output", "call_id": call_id, "output": output})
    return history


# measuring


Figures = tuple[float, ...]


def side_by_side(titles: Sequence[str], ways: list[Way], measure: Callable[[Way], Figures], rounds: int = 3) -> None:
    """`measure` of each way in turn, so that what else the machine does meets all of them."""
    found: dict[str, list[Figures]] = {way.name: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            found[way.name].append(measure(way))
    for number, title in enumerate(titles):
        figures = {name: [each[number] for each in measured] for name, measured in found.items()}
        unit = statistics.median(figures[ways[0].name])
        for name, values in figures.items():
            low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
            cells = (
                f"{title:44}",
                f"{name:14}",
                f"{middle:9.2f}",
                f"{low:9.2f} – {high:9.2f}",
                f"{middle / unit:6.2f} x",
            )
            print(" | ".join(cells), f" {middle - unit:+.2f}", flush=True)


def first_token_ms(history_bytes: int, requests: int, prompt: str) -> Callable[[Way], Figures]:
    """Of short answers, one after another; and milliseconds of processor time per request."""

    def measure(way: Way) -> Figures:
        before = way.cpu_s()
        load = way.load([prompt] * requests, 1, output_tokens=4, history_bytes=history_bytes)
        return _sound(load).first_token_s(0.5) * 1000, (way.cpu_s() - before) / requests * 1000

    return measure


def streaming(streams: int, prompt: str, waves: int = 1) -> Callable[[Way], Figures]:
    """Tokens per second of all streams, and microseconds of processor time per token."""

    def measure(way: Way) -> Figures:
        before = way.cpu_s()
        load = _sound(way.load([prompt] * streams * waves, streams))
        return load.tokens_per_second, (way.cpu_s() - before) / load.output_tokens * 1e6

    return measure


def _sound(load: Load) -> Load:
    if load.failures:
        raise SystemExit(f"a request failed: {load.failures[0]}")
    return load


# what is measured


def compare_endpoint(sglang: str, native: str | None) -> None:
    with rehearsal(sglang) as (url, process):
        ways = [
            Way("chat", Target(url, "chat"), "rehearsal", process),
            Way("sgcx", Target(url, "responses"), "rehearsal", process),
        ]
        if native is not None:
            ways.append(Way("native", Target(native, "responses"), "rehearsal", _listener(native)))
        count = "Write 200 words"
        for way in ways:
            way.load([count] * 4, 4)
            _sound(way.load(["hello"], 1, history_bytes=LARGE_BYTES))
        side_by_side(_titles("small"), ways, first_token_ms(0, 15, "hello"), rounds=10)
        side_by_side(_titles("800 kB in the prefix cache"), ways, first_token_ms(LARGE_BYTES, 5, "hello"))
        for streams in STREAMS:
            titles = [f"{streams} streams, tokens/s", f"{streams} streams, API process CPU us/token"]
            side_by_side(titles, ways, streaming(streams, count, waves=2 if streams == 1 else 1))


def compare_gateway(litellm: Path | None) -> None:
    with ExitStack() as stack:
        ways = _gateways(stack, 3, litellm)
        side_by_side(_titles("small"), ways, first_token_ms(0, 10, "hello"), rounds=30)
        side_by_side(_titles("800 kB"), ways, first_token_ms(LARGE_BYTES, 5, "hello"), rounds=5)
    with ExitStack() as stack:
        ways = _gateways(stack, 2000, litellm)
        side_by_side(["2000-token stream, ms"], ways, lambda way: (_stream_ms(way),))
        side_by_side(["tokens/s", "CPU us/token"], ways[1:], streaming(1, "hello"))


def _titles(history: str) -> list[str]:
    return [f"TTFT, {history}, ms", f"{history}, CPU ms/request"]


def _stream_ms(way: Way) -> float:
    return asyncio.run(stream(way.target, way.body("hello"))).total_s * 1000


def _gateways(stack: ExitStack, tokens: int, litellm: Path | None) -> list[Way]:
    mock, line = stack.enter_context(
        started([sys.executable, str(_HERE / "chat_mock.py"), "0", str(tokens)], lambda line: line.startswith("ready"))
    )
    upstream = f"http://127.0.0.1:{line.split()[1]}"
    home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    gateway = [
        *(sys.executable, "-m", "sgcx", "gateway", "--upstream", upstream, "--port", "0", "--no-auth", "--json"),
        *("--dialect", "kimi_k2", "--context", "1000000"),
    ]
    process, told = stack.enter_context(started(gateway, lambda line: "base_url" in line, SGCX_HOME=str(home / "sgcx")))
    url = told.split('"base_url":')[1].split('"')[1].removesuffix("/v1")
    ways = [
        Way("upstream", Target(upstream, "chat"), "m", mock),
        Way("sgcx gateway", Target(url, "responses"), "m", process),
    ]
    if litellm is not None:
        ways.append(_litellm(stack, home, litellm, upstream))
    for way in ways:
        way.load(["hello"] * 3, 1)  # what is done once is not measured
    return ways


def _litellm(stack: ExitStack, home: Path, litellm: Path, upstream: str) -> Way:
    """Its bridge from Responses to chat completions, which it takes for every upstream that has no Responses."""
    model = {"model": "openai/m", "api_base": f"{upstream}/v1", "api_key": "none", "use_chat_completions_api": True}
    config = home / "litellm.json"
    config.write_text(json.dumps({"model_list": [{"model_name": "m", "litellm_params": model}]}))
    port = _free_port()
    command = [str(litellm), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    process, _ = stack.enter_context(
        started(
            command,
            lambda _: _listens(port),
            LITELLM_LOCAL_MODEL_COST_MAP="True",
            LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY="true",
        )
    )
    return Way("LiteLLM", Target(f"http://127.0.0.1:{port}", "responses"), "m", process)


def watch_memory(sglang: str, turns: int) -> None:
    """Sessions whose histories grow, over HTTP and WebSocket by turns: how large the API process is meanwhile."""
    with rehearsal(sglang) as (url, process):
        base = process.memory_info().rss
        for session in range(turns // 40):
            with _connection(url, over_websocket=session % 2 == 1) as answered:
                history = [{"role": "user", "content": f"session {session}"}]
                for turn in range(40):
                    history.append({"role": "user", "content": f"hello {turn} " + "lorem ipsum " * 20})
                    history += answered({"model": "rehearsal", "input": history, "store": session % 4 < 2})
            size = process.memory_info().rss
            print(f"{(session + 1) * 40:6} turns {size / 1e6:9.1f} MB, {(size - base) / 1e6:+.1f}", flush=True)


@contextmanager
def _connection(url: str, *, over_websocket: bool):
    """What answers a body with the items of its output."""
    from websockets.sync.client import connect

    if over_websocket:
        with connect(url.replace("http", "ws", 1) + "/v1/responses", proxy=None) as connection:
            yield partial(_over_websocket, connection)
    else:
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
            yield partial(_over_http, client)


def _over_http(client: httpx.Client, body: dict) -> list[dict]:
    return client.post("/v1/responses", json=body).raise_for_status().json()["output"]


def _over_websocket(connection, body: dict) -> list[dict]:
    connection.send(json.dumps({"type": "response.create", **body}))
    while (event := json.loads(connection.recv(timeout=120)))["type"] not in (
        "response.completed",
        "response.failed",
        "error",
    ):
        pass
    return event["response"]["output"]


# servers


@contextmanager
def started(command: list[str], ready: Callable[[str], bool], **environment: str):
    """A process, and the line with which it said that it is ready."""
    with tempfile.NamedTemporaryFile("w+") as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield psutil.Process(process.pid), _awaited(process, Path(log.name), ready)
        finally:
            process.terminate()
            process.wait(30)


def _awaited(process: subprocess.Popen, log: Path, ready: Callable[[str], bool]) -> str:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            if ready(line):
                return line
        time.sleep(0.1)
    raise SystemExit(f"{process.args[0]} did not start:\n{log.read_text()[-2000:]}")


@contextmanager
def rehearsal(sglang: str, *options: str):
    up = [sys.executable, "-m", "sgcx", "up", "rehearsal", "--port", "0", "--no-auth", "--json", "--name", "compare"]
    up += ["--sglang", sglang, *options]
    try:
        done = subprocess.run(up, capture_output=True, text=True, timeout=_READY_S, check=False)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        server = json.loads(done.stdout)
        yield server["base_url"].removesuffix("/v1"), psutil.Process(server["pid"])
    finally:
        subprocess.run([sys.executable, "-m", "sgcx", "down", "compare"], capture_output=True, timeout=60, check=False)


def _listener(url: str) -> psutil.Process | None:
    port = httpx.URL(url).port
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return psutil.Process(connection.pid)
    return None


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    """LiteLLM does not say which port it took, so it is told one."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("endpoint", "gateway", "memory"))
    parser.add_argument("--sglang", default=SGLANG_VERSION)
    parser.add_argument("--turns", type=int, default=2000)
    parser.add_argument("--native")
    parser.add_argument("--litellm", type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the servers end with us, however we end
    match options.what:
        case "endpoint":
            compare_endpoint(options.sglang, options.native)
        case "gateway":
            compare_gateway(options.litellm)
        case "memory":
            watch_memory(options.sglang, options.turns)


if __name__ == "__main__":
    main()
