"""What a starting SGLang is doing, read from its log. Pure: lines in, changes of stage out.

For people only: whether a server is ready is never decided here. Stages go forward; the ranks of a tensor-parallel
server log side by side, and the first to reach a stage counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum


class LaunchStage(StrEnum):
    """In the order in which they happen; some may be skipped."""

    STARTING = "starting"
    ARGUMENTS = "arguments"
    DISTRIBUTED = "distributed"
    LOADING_WEIGHTS = "loading_weights"
    KV_CACHE = "kv_cache"
    CUDA_GRAPHS = "cuda_graphs"
    HTTP = "http"
    WARMUP = "warmup"
    READY = "ready"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def position(self) -> int:
        return _ORDER.index(self)


_ORDER = tuple(LaunchStage)
_LABELS = {
    LaunchStage.STARTING: "Starting the engine",
    LaunchStage.ARGUMENTS: "Checking the arguments",
    LaunchStage.DISTRIBUTED: "Connecting the workers",
    LaunchStage.LOADING_WEIGHTS: "Loading the weights",
    LaunchStage.KV_CACHE: "Allocating the KV cache",
    LaunchStage.CUDA_GRAPHS: "Compiling kernels and capturing CUDA graphs",
    LaunchStage.HTTP: "Opening the endpoint",
    LaunchStage.WARMUP: "Warming up",
    LaunchStage.READY: "Ready",
}


@dataclass(frozen=True, slots=True)
class StageChange:
    """`done` of `total` where the stage counts something: shards, batch sizes, kernels."""

    stage: LaunchStage
    done: int | None = None
    total: int | None = None
    bar: str | None = None
    """What is counted, in SGLang's own words."""

    @property
    def label(self) -> str:
        return self.stage.label


@dataclass(frozen=True, slots=True)
class LaunchFacts:
    """Sizes as SGLang says them, for one rank. Its "GB" are GiB."""

    weights_gib: float | None = None
    max_total_num_tokens: int | None = None
    max_running_requests: int | None = None
    chunked_prefill_size: int | None = None


_MARKS = (
    (re.compile(r"\bserver_args=ServerArgs\("), LaunchStage.ARGUMENTS),
    (re.compile(r"Init torch distributed (?:begin|ends)"), LaunchStage.DISTRIBUTED),
    (re.compile(r"Load weight (?:begin|end)"), LaunchStage.LOADING_WEIGHTS),
    (re.compile(r"KV Cache is allocated|Memory pool end"), LaunchStage.KV_CACHE),
    (re.compile(r"Capture (?:\S+ )*cuda graph begin|Capturing batches", re.IGNORECASE), LaunchStage.CUDA_GRAPHS),
    (re.compile(r"DeepGEMM (?:JIT Pre-Compile session|warmup)"), LaunchStage.CUDA_GRAPHS),
    # Not "Application startup complete": that comes before the port is bound, so a stranger may hold it.
    (re.compile(r"Uvicorn running on"), LaunchStage.HTTP),
    (re.compile(r'"(?:GET /(?:get_)?model_info|GET /server_info) HTTP'), LaunchStage.WARMUP),
    (re.compile(r"The server is fired up and ready to roll!"), LaunchStage.READY),
)
_BARS = (
    (re.compile(r"(shards):.*?(\d+)/(\d+) \["), LaunchStage.LOADING_WEIGHTS),
    (
        re.compile(r"(Capturing batches|(?:Compiling|Capturing) num tokens|DeepGEMM warmup).*?(\d+)/(\d+) \["),
        LaunchStage.CUDA_GRAPHS,
    ),
)
_WEIGHTS = re.compile(r"Load weight end.*\bmem usage=([\d.]+) GB")
_SIZE = re.compile(r"\b(max_total_num_tokens|max_running_requests|chunked_prefill_size)=(-?\d+)(?=[,\s]|$)")


class LaunchProgress:
    def __init__(self) -> None:
        self._now = StageChange(LaunchStage.STARTING)
        self._facts = LaunchFacts()
        self._bars: set[tuple[str | None, int | None]] = set()

    @property
    def stage(self) -> LaunchStage:
        return self._now.stage

    @property
    def facts(self) -> LaunchFacts:
        return self._facts

    def feed(self, line: str) -> StageChange | None:
        """The change that this line makes, or None."""
        self._learn(line)
        seen = _counted(line) or _marked(line)
        if seen is None or not self._is_forward(seen):
            return None
        self._bars.add((seen.bar, seen.total))
        self._now = seen
        return seen

    def _is_forward(self, seen: StageChange) -> bool:
        if seen.stage is not self._now.stage:
            return seen.stage.position > self._now.stage.position
        if seen.done is None or seen == self._now:
            return False
        if (seen.bar, seen.total) != (self._now.bar, self._now.total):
            return (seen.bar, seen.total) not in self._bars
        # A slower rank does not turn it back.
        return self._now.done is None or seen.done > self._now.done

    def _learn(self, line: str) -> None:
        """The first weights are the model's: a draft comes after it."""
        if self._facts.weights_gib is None and (match := _WEIGHTS.search(line)):
            self._facts = replace(self._facts, weights_gib=float(match[1]))
        if "max_total_num_tokens=" in line and "server_args=" not in line:
            sizes = {name: int(value) for name, value in _SIZE.findall(line)}
            self._facts = replace(self._facts, **sizes)


def _counted(line: str) -> StageChange | None:
    for pattern, stage in _BARS:
        if match := pattern.search(line):
            return StageChange(stage, int(match[2]), int(match[3]), match[1])
    return None


def _marked(line: str) -> StageChange | None:
    for pattern, stage in _MARKS:
        if pattern.search(line):
            return StageChange(stage)
    return None
