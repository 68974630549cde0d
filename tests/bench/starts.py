"""Processor time of a start on a CPU, with a patch of SGLang and without it.

    python tests/bench/starts.py [--patch cpu-fork] [--rounds 3]

Starts the rehearsal model on the CPU engine (of SGCX_HOME), in turns. Counted is what `sgcx up` and all processes of
the server took until it was ready, those included that ended meanwhile.
"""

from __future__ import annotations

import argparse
import signal
import statistics

import psutil
from compare import rehearsal

from sgcx.planning.driver import SGLANG_VERSION


def start_cpu_s(*options: str) -> float:
    this = psutil.Process()
    before = _of_ended_children_s(this)
    with rehearsal(SGLANG_VERSION, *options) as (_, server):
        spent = sum(_cpu_s(process) for process in (server, *server.children(recursive=True)))
        return spent + _of_ended_children_s(this) - before


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system + _of_ended_children_s(process)


def _of_ended_children_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.children_user + times.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patch", default="cpu-fork")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the servers end with us, however we end
    patched, unpatched = [], []
    for number in range(options.rounds):
        patched.append(start_cpu_s())
        unpatched.append(start_cpu_s("--without-patch", options.patch))
        print(
            f"round {number + 1}: {patched[-1]:.1f} s with {options.patch}, {unpatched[-1]:.1f} s without", flush=True
        )
    with_s, without_s = statistics.median(patched), statistics.median(unpatched)
    print(f"median: {with_s:.1f} s with {options.patch}, {without_s:.1f} s without, ratio {with_s / without_s:.2f}")


if __name__ == "__main__":
    main()
