"""A profile: one model, its variants, and the facts about it that planning and serving need. See docs/profiles.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from sgcx.planning.architecture import Architecture
from sgcx.planning.weights import Quantization, checkpoint_bytes

Dialect = Literal["kimi_k2", "deepseek_r1"]
Modality = Literal["text", "image"]
Thinking = Literal["always", "default_on"]
KvCacheDtype = Literal["auto", "fp8_e4m3"]
OptionValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class ComputeCapabilityGap:
    """A kind of GPU on which these weights load and then answer wrongly."""

    compute_capability: tuple[int, int]
    because: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A small model that guesses tokens ahead, for the large one to check."""

    algorithm: Literal["EAGLE", "EAGLE3"]
    repository: str
    revision: str | None
    weights_bytes: int
    layers: int
    minimum_sglang: str | None = None
    """The first release that can load it; None: every one."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What somebody measured on such GPUs, for a plan to show beside its own estimate."""

    variant: str
    gpu: str
    """Part of the GPU's name, as `H200`."""
    gpu_count: int
    sglang: str
    streams: int
    prompt_tokens: int
    tokens_per_s: float
    """Of all streams together."""
    time_to_first_token_s: float
    by: str = "others"


@dataclass(frozen=True, slots=True)
class HubCheckpoint:
    """One variant: weights from a model hub or a local folder, too large to guess about."""

    variant: str
    title: str
    repository: str
    """`owner/model`, or the absolute path of a folder."""
    revision: str | None
    trust_remote_code: bool
    download_bytes: int
    quantization: Quantization
    minimum_compute_capability: tuple[int, int]
    gaps: tuple[ComputeCapabilityGap, ...]
    architecture: Architecture
    stated_weights_bytes: int | None
    """From the checkpoint's own index; None computes it from the shapes."""
    options: tuple[tuple[str, OptionValue], ...]
    """SGLang settings that these weights need."""
    has_prediction_layers: bool
    """The model's own layers that guess ahead are in the checkpoint, and SGLang can use them."""
    draft: Draft | None
    warnings: tuple[str, ...]

    @property
    def weights_bytes(self) -> int:
        """What is loaded on all GPUs together, copies counted once."""
        if self.stated_weights_bytes is not None:
            return self.stated_weights_bytes
        return checkpoint_bytes(self.architecture, self.quantization)

    @property
    def is_local(self) -> bool:
        return self.repository.startswith("/")


@dataclass(frozen=True, slots=True)
class ScriptedCheckpoint:
    """A tiny checkpoint made on this machine, whose answers are scripted. Its path is given at launch."""


@dataclass(frozen=True, slots=True)
class Sampling:
    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    title: str
    served_model_name: str
    dialect: Dialect
    input_modalities: tuple[Modality, ...]
    max_context_length: int
    thinking: Thinking
    sampling_thinking: Sampling
    sampling_instant: Sampling | None
    """None for a model that always thinks."""
    reasoning_parser: str | None
    tool_call_parser: str | None
    warnings: tuple[str, ...]
    checkpoint: HubCheckpoint | ScriptedCheckpoint
    """The variant in use: the file's first until a plan chooses another."""
    alternatives: tuple[HubCheckpoint, ...] = ()
    """The other variants, in the file's order."""
    measurements: tuple[Measurement, ...] = ()

    @property
    def scripted(self) -> bool:
        return isinstance(self.checkpoint, ScriptedCheckpoint)

    @property
    def variants(self) -> tuple[HubCheckpoint, ...]:
        """The one in use first."""
        match self.checkpoint:
            case HubCheckpoint() as checkpoint:
                return (checkpoint, *self.alternatives)
            case ScriptedCheckpoint():
                return ()

    def with_variant(self, chosen: HubCheckpoint) -> Profile:
        others = tuple(variant for variant in self.variants if variant.variant != chosen.variant)
        return replace(self, checkpoint=chosen, alternatives=others)
