"""What planning takes and gives: wishes in, a launch plan or a refusal out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from sgcx.planning.memory import MemoryEstimate, gib
from sgcx.planning.profile import Profile

Accelerator = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user insists on; None leaves the choice to the planner."""

    context_length: int | None = None
    concurrency: int | None = None
    """Sessions that must fit at full length at the same time."""
    gpus: tuple[int, ...] | None = None
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True, slots=True)
class Decision:
    """One setting under SGLang's own name, or one environment variable. True stands for a flag without a value."""

    name: str
    value: str | int | float | Literal[True]
    because: str


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    profile: Profile
    accelerator: Accelerator
    sglang_version: str
    gpu_indices: tuple[int, ...]
    decisions: tuple[Decision, ...]
    environment: tuple[Decision, ...]
    context_length: int
    max_running_requests: int
    max_total_num_tokens: int
    """Tokens that fit in the cache: an estimate on a GPU, a setting on a CPU."""
    memory: MemoryEstimate | None
    """Per GPU; None on a CPU, where the model is tiny."""
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "profile": self.profile.name,
            "accelerator": self.accelerator,
            "sglang_version": self.sglang_version,
            "gpu_indices": list(self.gpu_indices),
            "decisions": [asdict(decision) for decision in self.decisions],
            "environment": [asdict(decision) for decision in self.environment],
            "context_length": self.context_length,
            "max_running_requests": self.max_running_requests,
            "max_total_num_tokens": self.max_total_num_tokens,
            "memory_per_gpu": None if self.memory is None else _memory_to_json(self.memory),
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

    @property
    def message(self) -> str:
        return f"{self.profile.name} cannot be served on this machine: {self.reason}"

    @property
    def hint(self) -> str:
        here = f"This machine can serve {', '.join(self.nearest)}" if self.nearest else ""
        there = f"{self.profile.name} fits on {' or '.join(self.machines)}" if self.machines else ""
        return "; ".join(part for part in (here, there) if part)

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
        }


def _memory_to_json(memory: MemoryEstimate) -> dict[str, int]:
    parts: dict[str, int] = asdict(memory)
    return {**parts, "total_bytes": memory.total_bytes}


def reading_decisions(profile: Profile) -> list[Decision]:
    """The reasoning parser also counts reasoning tokens, and lets a grammar begin only after the reasoning."""
    because = "for clients of /v1/chat/completions; /v1/responses reads the model's raw text itself"
    parsers = (
        ("reasoning_parser", profile.reasoning_parser),
        ("tool_call_parser", profile.tool_call_parser),
    )
    return [Decision(name, parser, because) for name, parser in parsers if parser is not None]
