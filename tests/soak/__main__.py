"""`PYTHONPATH=tests python -m soak`: a rehearsal server under many clients for minutes, then a drain. Prints a table.

`--published` leaves out every patch that can be, for comparison, and asks the server's own chat endpoint only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from soak.workload import Tally, run
from unpatched import WITHOUT_PATCHES

_MIB = 1 << 20
_SAMPLE_S = 2.0
_SETTLE_S = 60.0
_EXIT_S = 60.0


@dataclass(frozen=True)
class Sample:
    """Of the HTTP process and everything it started."""

    memory_mib: int
    descriptors: int
    running: int
    used_tokens: int


@dataclass
class Server:
    result: dict
    client_options: dict = field(init=False)

    def __post_init__(self) -> None:
        key = Path(self.result["api_key_file"]).read_text().strip()
        self.client_options = {"headers": {"Authorization": f"Bearer {key}"}, "trust_env": False}

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.result["pid"])

    def sample(self) -> Sample:
        tree = [self.process, *self.process.children(recursive=True)]
        url = self.result["base_url"] + "/loads"
        loads = httpx.get(url, timeout=60, **self.client_options).json()["loads"]
        return Sample(
            memory_mib=sum(each.memory_info().rss for each in tree) // _MIB,
            descriptors=self.process.num_fds(),
            running=sum(load["num_running_reqs"] + load["num_waiting_reqs"] for load in loads),
            used_tokens=sum(load["num_used_tokens"] for load in loads),
        )

    def last_remaining(self) -> str:
        lines = Path(self.result["log"]).read_text(errors="replace").splitlines()
        told = [line.partition("Remaining number of requests ")[2] for line in lines if "Gracefully exiting" in line]
        return told[-1].partition(".")[0] if told else "none said"


def start(*, published: bool) -> Server:
    options = WITHOUT_PATCHES if published else ()
    command = [sys.executable, "-m", "sgcx", "up", "rehearsal", "--name", "soak", "--port", "0", "--json", *options]
    made = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if made.returncode != 0:
        sys.exit(made.stdout)
    return Server(json.loads(made.stdout))


async def soak(server: Server, options: argparse.Namespace) -> tuple[Tally, list[Sample]]:
    samples: list[Sample] = []
    endpoints = ("chat",) if options.published else ("chat", "responses")
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=options.streams)
    async with httpx.AsyncClient(
        base_url=server.result["base_url"], timeout=None, limits=limits, **server.client_options
    ) as client:
        work = asyncio.create_task(
            run(client, streams=options.streams, seconds=options.seconds, endpoints=endpoints, seed=options.seed)
        )
        while not work.done():
            samples.append(await asyncio.to_thread(server.sample))
            await asyncio.wait([work], timeout=_SAMPLE_S)
        return work.result(), samples


def settle(server: Server) -> Sample:
    """Until nothing runs, or not in time."""
    deadline = time.monotonic() + _SETTLE_S
    while (sample := server.sample()).running and time.monotonic() < deadline:
        time.sleep(1)
    return sample


def drain(server: Server) -> float | None:
    """Seconds from SIGTERM to the end of the process; None: it had to be killed."""
    process = server.process
    began = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    try:
        process.wait(_EXIT_S)
        return time.monotonic() - began
    except psutil.TimeoutExpired:
        return None


def table(
    title: str, tally: Tally, samples: list[Sample], before: Sample, after: Sample, drained_s: float | None
) -> str:
    middle = samples[len(samples) // 3] if samples else before
    rows = [
        ("requests answered", sum(tally.done.values())),
        ("refused with 503, the queue being full", sum(tally.refused.values())),
        ("wrong answers", sum(tally.wrong.values())),
        ("stuck requests", sum(tally.stuck.values())),
        ("most running and waiting", max((sample.running for sample in samples), default=0)),
        ("running after the last client", after.running),
        ("KV tokens in use: before, after", f"{before.used_tokens}, {after.used_tokens}"),
        ("descriptors: before, after", f"{before.descriptors}, {after.descriptors}"),
        ("memory in MiB: before, at a third, after", f"{before.memory_mib}, {middle.memory_mib}, {after.memory_mib}"),
        ("SIGTERM to exit", "never" if drained_s is None else f"{drained_s:.1f} s"),
    ]
    return f"| | {title} |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--published", action="store_true")
    options = parser.parse_args()
    server = start(published=options.published)
    try:
        before = server.sample()
        tally, samples = asyncio.run(soak(server, options))
        after = settle(server)
        drained_s = drain(server)
        print(table("published" if options.published else "patched", tally, samples, before, after, drained_s))
        print(f"remaining at the end of the drain: {server.last_remaining()}")
        for counter in (tally.done, tally.refused, tally.wrong, tally.stuck):
            print(json.dumps(counter, sort_keys=True))
        print("\n".join(tally.problems))
    finally:
        subprocess.run([sys.executable, "-m", "sgcx", "down", "soak", "--deadline", "1"], stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
