"""Many streams at once, from several processes, so that the client is not what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from sgcx.bench.wire import RequestFailed, Target, Timing, stream

_SPAWN_S = 2.0
"""Until all processes have started and wait for the same moment."""


@dataclass(frozen=True, slots=True)
class Load:
    """What all requests of one load gave. Times in seconds; `failures` are what went wrong, in words."""

    streams: int
    wall_s: float
    timings: tuple[Timing, ...]
    failures: tuple[str, ...]

    @property
    def output_tokens(self) -> int:
        return sum(timing.output_tokens for timing in self.timings)

    @property
    def tokens_per_second(self) -> float:
        return self.output_tokens / self.wall_s

    def first_token_s(self, share: float) -> float:
        return percentile([timing.first_token_s for timing in self.timings], share)

    def gap_s(self, share: float) -> float:
        """Between pieces, of which each brings one token or several."""
        return percentile([gap for timing in self.timings for gap in timing.gaps_s], share)

    def token_gap_s(self, share: float) -> float:
        """Between tokens: those of one piece follow each other at once."""
        gaps = [gap for timing in self.timings for gap in timing.gaps_s]
        at_once = sum(timing.output_tokens - 1 - len(timing.gaps_s) for timing in self.timings)
        return percentile([0.0] * at_once + gaps, share)

    def longest_gap_s(self, share: float) -> float:
        """The longest that a stream stood still."""
        return percentile([max(timing.gaps_s, default=0.0) for timing in self.timings], share)

    def decode_tokens_per_s(self, share: float) -> float:
        """Of one stream, after its first token."""
        rates = (timing.decode_tokens_per_s for timing in self.timings)
        return percentile([rate for rate in rates if rate is not None], share)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all are not above; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def run_load(target: Target, bodies: Sequence[bytes], *, streams: int, processes: int = 1) -> Load:
    """Sends each body once, at most `streams` at a time."""
    workers = max(1, min(processes, streams))
    start = time.time() + (_SPAWN_S if workers > 1 else 0.0)
    shares = [
        (target, list(bodies[index::workers]), _share(streams, workers, index), start) for index in range(workers)
    ]
    if workers == 1:
        results = [_work(*shares[0])]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            results = list(pool.map(_work_one, shares))
    began = min(result[0] for result in results)
    ended = max(result[1] for result in results)
    return Load(
        streams=streams,
        wall_s=ended - began,
        timings=tuple(timing for result in results for timing in result[2]),
        failures=tuple(failure for result in results for failure in result[3]),
    )


def _share(streams: int, workers: int, index: int) -> int:
    return streams // workers + (1 if index < streams % workers else 0)


_Result = tuple[float, float, list[Timing], list[str]]


def _work_one(share: tuple[Target, list[bytes], int, float]) -> _Result:
    return _work(*share)


def _work(target: Target, bodies: list[bytes], streams: int, start: float) -> _Result:
    return asyncio.run(_send(target, bodies, streams, start))


async def _send(target: Target, bodies: list[bytes], streams: int, start: float) -> _Result:
    timings: list[Timing] = []
    failures: list[str] = []
    waiting = iter(bodies)

    async def one_stream() -> None:
        for body in waiting:
            try:
                timings.append(await stream(target, body))
            except (OSError, RequestFailed) as error:
                failures.append(str(error))

    await asyncio.sleep(max(0.0, start - time.time()))
    began = time.time()
    await asyncio.gather(*(one_stream() for _ in range(streams)))
    return began, time.time(), timings, failures
