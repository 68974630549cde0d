"""What an engine tells us, in the order it happens. Inputs of `ResponseStream`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sgcx.errors import EngineError


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    text: str


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of the answer. `top`: the likeliest tokens in its place, itself among them as a rule."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """`logprobs`: of the tokens in `text`, where the request asks for them."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """`name` as the model wrote it: the name under which the tool was shown to it."""

    name: str


@dataclass(frozen=True, slots=True)
class ToolCallArguments:
    """The next piece of the call that was started last."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallFinished:
    """The model closed the call. A call without it was cut off and must not be executed."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts. `cached_tokens` are part of `input_tokens`, `reasoning_tokens` of `output_tokens`."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """`stop`: the model ended its turn; `length`: it ran into the token limit."""

    reason: Literal["stop", "length"]
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Failed:
    """`code` is one of the string codes that clients act on (`server_error`, `context_length_exceeded`, …)."""

    code: str
    message: str

    @classmethod
    def of(cls, error: EngineError) -> Failed:
        """Where the HTTP status is gone already, the message says when to come back: clients read it there."""
        if error.code is None and error.retry_after_s is not None:
            return cls("rate_limit_exceeded", f"{error.message}. Please try again in {error.retry_after_s}s")
        return cls(error.code or "server_error", error.message)


@dataclass(frozen=True, slots=True)
class CompactionStarted:
    """The model writes a summary, which is not part of the answer."""


@dataclass(frozen=True, slots=True)
class CompactionFinished:
    """`sealed`: what takes the place of everything before."""

    sealed: str


EngineDelta = (
    ReasoningDelta
    | TextDelta
    | ToolCallStarted
    | ToolCallArguments
    | ToolCallFinished
    | CompactionStarted
    | CompactionFinished
    | Finished
    | Failed
)
