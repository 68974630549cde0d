"""What a bench found, as numbers that can be kept and compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sgcx.bench.load import Load, percentile
from sgcx.bench.wire import Timing


@dataclass(frozen=True, slots=True)
class Row:
    """So many sessions at once. Times in seconds."""

    streams: int
    requests: int
    failures: int
    first_failure: str | None
    input_tokens: int
    cached_share: float
    """Of the input, found in the prefix cache."""
    output_tokens: int
    output_tokens_per_s: float
    first_token_p50_s: float
    first_token_p90_s: float
    gap_p50_s: float
    """Between arrivals of tokens; several tokens may arrive together."""
    gap_p99_s: float
    decode_p50_tokens_per_s: float
    """Of one stream after its first token; 0 where no answer had a second one."""

    @classmethod
    def of(cls, load: Load) -> Row:
        input_tokens = sum(timing.input_tokens for timing in load.timings)
        cached = sum(timing.cached_tokens for timing in load.timings)
        return cls(
            streams=load.streams,
            requests=len(load.timings) + len(load.failures),
            failures=len(load.failures),
            first_failure=load.failures[0][:300] if load.failures else None,
            input_tokens=input_tokens,
            cached_share=cached / input_tokens if input_tokens else 0.0,
            output_tokens=load.output_tokens,
            output_tokens_per_s=load.tokens_per_second,
            first_token_p50_s=load.first_token_s(0.5),
            first_token_p90_s=load.first_token_s(0.9),
            gap_p50_s=load.gap_s(0.5),
            gap_p99_s=load.gap_s(0.99),
            decode_p50_tokens_per_s=load.decode_tokens_per_s(0.5),
        )


@dataclass(frozen=True, slots=True)
class PrefixReuse:
    """One prompt that the server has never seen, and the same prompt again."""

    input_tokens: int
    cached_tokens: int
    """Of the repetitions."""
    first_token_new_s: float
    first_token_again_s: float

    @property
    def speedup(self) -> float:
        """How much earlier the first token comes when the prompt is cached."""
        return self.first_token_new_s / self.first_token_again_s if self.first_token_again_s else 0.0

    @classmethod
    def of(cls, new: tuple[Timing, ...], again: tuple[Timing, ...]) -> PrefixReuse:
        return cls(
            input_tokens=again[-1].input_tokens,
            cached_tokens=again[-1].cached_tokens,
            first_token_new_s=percentile([timing.first_token_s for timing in new], 0.5),
            first_token_again_s=percentile([timing.first_token_s for timing in again], 0.5),
        )


@dataclass(frozen=True, slots=True)
class Report:
    url: str
    model: str
    measured_at: str
    """UTC, ISO 8601."""
    prefix_tokens: int
    output_tokens: int
    turns: int
    reuse: PrefixReuse | None
    """None where the server did not answer these requests."""
    rows: tuple[Row, ...]
    profile: str | None = None
    sglang_version: str | None = None
    gpu_indices: tuple[int, ...] = ()

    def to_json(self) -> dict[str, object]:
        reuse = None if self.reuse is None else {**asdict(self.reuse), "speedup": self.reuse.speedup}
        return {**asdict(self), "reuse": reuse}
