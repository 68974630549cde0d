"""What planning takes and gives: wishes in, a launch plan or a refusal out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

from sgcx.byte_sizes import gib
from sgcx.planning.calibration import Prediction
from sgcx.planning.measured_speed import SpeedKey
from sgcx.planning.memory import MemoryEstimate
from sgcx.planning.profile import HubCheckpoint, Measurement, Profile
from sgcx.planning.selection import ExcludedGpu
from sgcx.planning.speed import SpeedEstimate
from sgcx.planning.weights import Parallelism

Accelerator = Literal["cpu", "cuda"]
Preference = Literal["latency", "throughput"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user insists on; None leaves the choice to the planner."""

    context_length: int | None = None
    concurrency: int | None = None
    """Sessions that must fit at full length at the same time."""
    gpus: tuple[int, ...] | None = None
    variant: str | None = None
    prefer: Preference | None = None
    """None balances: several sessions, and nothing that has to guess."""
    sglang_version: str | None = None
    node_count: int = 1
    """Machines such as this one, together."""
    dist_init_addr: str | None = None
    """`address:port` of the first node, where the nodes meet."""
    dp_size: int = 1
    """Ranks that attend to requests of their own, each with its own cache."""
    host_cache_bytes: int | Literal["auto"] | None = None
    """In the machine's own memory; "auto" takes what it can spare."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One setting under SGLang's own name, or one environment variable. True stands for a flag without a value."""

    name: str
    value: str | int | float | Literal[True]
    because: str


@dataclass(frozen=True, slots=True)
class Declined:
    """Something that the planner could have chosen, and why it did not."""

    name: str
    because: str


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    profile: Profile
    """With the chosen variant as its checkpoint."""
    accelerator: Accelerator
    sglang_version: str
    gpu_indices: tuple[int, ...]
    decisions: tuple[Decision, ...]
    environment: tuple[Decision, ...]
    context_length: int
    max_running_requests: int
    max_total_num_tokens: int
    """Tokens that fit in the cache of each data-parallel rank: an estimate on a GPU, a setting on a CPU."""
    memory: MemoryEstimate | None
    """Per GPU; None on a CPU, where the model is tiny."""
    warnings: tuple[str, ...]
    gpu_name: str | None = None
    parallelism: Parallelism = field(default_factory=Parallelism)
    node_count: int = 1
    declined: tuple[Declined, ...] = ()
    excluded_gpus: tuple[ExcludedGpu, ...] = ()
    speed: SpeedEstimate | None = None
    speed_key: SpeedKey | None = None
    """What a bench of the server will be kept under."""
    measurements: tuple[Measurement, ...] = ()
    """What others measured with this variant on as many such GPUs."""
    prediction: Prediction | None = None
    host_cache_tokens: int = 0

    @property
    def cache_tokens(self) -> int:
        """On all data-parallel ranks together."""
        return self.max_total_num_tokens * self.parallelism.dp_size

    @property
    def full_sessions(self) -> int:
        """Sessions of full length that the cache holds at the same time."""
        return self.max_total_num_tokens // self.context_length * self.parallelism.dp_size

    def value_of(self, name: str) -> str | int | float | None:
        """None where the plan says nothing about it."""
        return next((decision.value for decision in self.decisions if decision.name == name), None)

    def to_json(self) -> dict[str, object]:
        return {
            "profile": self.profile.name,
            "variant": _variant_to_json(self.profile),
            "accelerator": self.accelerator,
            "sglang_version": self.sglang_version,
            "gpu_name": self.gpu_name,
            "gpu_indices": list(self.gpu_indices),
            "node_count": self.node_count,
            "parallelism": asdict(self.parallelism),
            "decisions": [asdict(decision) for decision in self.decisions],
            "environment": [asdict(decision) for decision in self.environment],
            "declined": [asdict(declined) for declined in self.declined],
            "excluded_gpus": [asdict(excluded) for excluded in self.excluded_gpus],
            "context_length": self.context_length,
            "max_running_requests": self.max_running_requests,
            "max_total_num_tokens": self.max_total_num_tokens,
            "full_sessions": self.full_sessions,
            "host_cache_tokens": self.host_cache_tokens,
            "memory_per_gpu": None if self.memory is None else _memory_to_json(self.memory),
            "predicted": None if self.prediction is None else _prediction_to_json(self.prediction),
            "speed": None if self.speed is None else asdict(self.speed),
            "measurements": [asdict(measurement) for measurement in self.measurements],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    profile: Profile
    reason: str
    needed_bytes: int
    """On all GPUs together; zero, as the two below, when memory is not the reason."""
    available_bytes: int
    missing_bytes: int
    nearest: tuple[str, ...]
    """Names of profiles that this machine can serve, the largest first."""
    machines: tuple[str, ...]
    """Machines that could serve the refused profile, the smallest first."""
    mend: str = ""
    """What would let this machine serve it, where anything would."""
    node_count: int | None = None
    """How many machines such as this one could serve it together; None when two cannot."""

    @property
    def message(self) -> str:
        return f"{self.profile.name} cannot be served on this machine: {self.reason}"

    @property
    def hint(self) -> str:
        this = "this" if self.mend else "This"
        here = f"{this} machine can serve {', '.join(self.nearest)}" if self.nearest else ""
        together = (
            f"{self.node_count} machines like this can, with --nodes {self.node_count}" if self.node_count else ""
        )
        elsewhere = self.machines and not self.mend
        there = f"{self.profile.name} fits on {' or '.join(self.machines)}" if elsewhere else ""
        return "; ".join(part for part in (self.mend, here, together, there) if part)

    def to_json(self) -> dict[str, object]:
        return {
            "profile": self.profile.name,
            "refused": self.reason,
            "needed_bytes": self.needed_bytes,
            "available_bytes": self.available_bytes,
            "missing_bytes": self.missing_bytes,
            "missing": gib(self.missing_bytes),
            "nearest": list(self.nearest),
            "machines": list(self.machines),
            "node_count": self.node_count,
        }


def reading_decisions(profile: Profile) -> list[Decision]:
    """The reasoning parser also counts reasoning tokens, and lets a grammar begin only after the reasoning."""
    because = "for clients of /v1/chat/completions; /v1/responses reads the model's raw text itself"
    parsers = (
        ("reasoning_parser", profile.reasoning_parser),
        ("tool_call_parser", profile.tool_call_parser),
    )
    return [Decision(name, parser, because) for name, parser in parsers if parser is not None]


def _variant_to_json(profile: Profile) -> dict[str, object] | None:
    if not isinstance(profile.checkpoint, HubCheckpoint):
        return None
    checkpoint = profile.checkpoint
    return {
        "name": checkpoint.variant,
        "title": checkpoint.title,
        "repository": checkpoint.repository,
        "revision": checkpoint.revision,
        "quantization": checkpoint.quantization,
        "weights_bytes": checkpoint.weights_bytes,
        "download_bytes": checkpoint.download_bytes,
    }


def _memory_to_json(memory: MemoryEstimate) -> dict[str, int]:
    parts: dict[str, int] = asdict(memory)
    return {**parts, "total_bytes": memory.total_bytes}


def _prediction_to_json(prediction: Prediction) -> dict[str, object]:
    """Stable fields: scripts compare them with what SGLang reports."""
    return {
        "weights_bytes_per_gpu": prediction.weights_bytes,
        "max_total_num_tokens": prediction.max_total_num_tokens,
        "kv_bytes_per_token_per_gpu": prediction.kv_bytes_per_token,
        "calibrated": prediction.calibration != type(prediction.calibration)(),
    }
