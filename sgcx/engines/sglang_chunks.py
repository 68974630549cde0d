"""What SGLang's `generate_request` yields → engine deltas. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from sgcx.engines.refusals import refusal
from sgcx.responses.deltas import EngineDelta, Failed, Finished, TokenLogprob, Usage
from sgcx.responses.dialect import Reader
from sgcx.responses.generation.logprob_alignment import LogprobAlignment

_Logprob = tuple[float, int, str | None]
"""With the token's id and text."""


class MetaInfo(TypedDict, total=False):
    """Of logprobs, too, everything so far. With one list of top tokens, or None, for each token."""

    finish_reason: Mapping[str, object] | None
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    output_token_logprobs: Sequence[_Logprob]
    output_top_logprobs: Sequence[Sequence[_Logprob] | None]


class Chunk(TypedDict):
    """`text` is everything so far, not what is new."""

    text: str
    meta_info: MetaInfo


@dataclass(slots=True)
class ChunkReader:
    """`alignment`: for requests that want logprobs."""

    reader: Reader
    alignment: LogprobAlignment | None
    finished: bool = field(default=False, init=False)
    _characters: int = field(default=0, init=False)
    _tokens: int = field(default=0, init=False)

    def feed(self, chunk: Chunk) -> list[EngineDelta]:
        """Raises `EngineError` where the engine refuses the request with its first chunk."""
        text, meta = chunk["text"], chunk["meta_info"]
        deltas = self.reader.feed(text[self._characters :])
        self._characters = len(text)
        reason = meta.get("finish_reason")
        if reason is not None:
            self.finished = True
            deltas += self.reader.finish()
        if self.alignment is not None:
            deltas = self.alignment.attach(deltas, self._new_logprobs(meta))
        return deltas if reason is None else [*deltas, self._end(reason, meta, started=bool(text))]

    def _new_logprobs(self, meta: MetaInfo) -> list[TokenLogprob]:
        tokens = meta.get("output_token_logprobs", ())[self._tokens :]
        top = meta.get("output_top_logprobs", ())[self._tokens :]
        self._tokens += len(tokens)
        return [
            TokenLogprob(text or "", logprob, tuple((other or "", value) for value, _, other in likeliest or ()))
            for (logprob, _, text), likeliest in zip(tokens, top or [None] * len(tokens), strict=False)
        ]

    def _end(self, reason: Mapping[str, object], meta: MetaInfo, *, started: bool) -> Finished | Failed:
        match reason.get("type"):
            case "stop":
                return Finished("stop", usage(meta))
            case "length":
                return Finished("stop" if self.reader.ended else "length", usage(meta))
            case _:
                status = reason.get("status_code")
                message = str(reason.get("message", "aborted"))
                refused = refusal(message, int(status) if isinstance(status, int) else 500)
                if not started:
                    raise refused
                return Failed.of(refused)


def usage(meta: MetaInfo) -> Usage:
    return Usage(
        input_tokens=meta.get("prompt_tokens", 0),
        cached_tokens=meta.get("cached_tokens", 0),
        output_tokens=meta.get("completion_tokens", 0),
        reasoning_tokens=meta.get("reasoning_tokens", 0),
    )
