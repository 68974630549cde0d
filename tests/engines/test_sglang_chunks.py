"""What SGLang yields, read: text and logprobs come whole each time, and only what is new counts."""

from __future__ import annotations

import pytest

from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.engines.sglang_chunks import ChunkReader
from sgcx.errors import EngineError
from sgcx.responses.deltas import Failed, Finished, ReasoningDelta, TextDelta, TokenLogprob, Usage
from sgcx.responses.generation.logprob_alignment import LogprobAlignment

TOKENS = ["hm", "</think>", "Hel", "lo", "<|im_end|>"]
COUNTS = {"prompt_tokens": 7, "cached_tokens": 2, "completion_tokens": 5, "reasoning_tokens": 1}


def chunks(sizes, *, top=True, reason=None):
    """One chunk for each number of tokens, as 0.5.10.post1 makes them."""
    for size in sizes:
        seen = TOKENS[:size]
        meta = {"output_token_logprobs": [(-0.5, index, token) for index, token in enumerate(seen)]}
        if top:
            meta["output_top_logprobs"] = [[(-0.5, 1, token), (-3.0, 2, "no")] for token in seen]
        text = "".join(seen).removesuffix("<|im_end|>")
        yield {"text": text, "meta_info": {**COUNTS, **meta, "finish_reason": None}}
    yield {"text": text, "meta_info": {**COUNTS, **meta, "finish_reason": reason or {"type": "stop"}}}


def read(played, *, logprobs):
    reader = ChunkReader(KimiK2().reader(prompt_tail="<think>"), LogprobAlignment() if logprobs else None)
    deltas = [delta for chunk in played for delta in reader.feed(chunk)]
    assert reader.finished
    return deltas


END = Finished("stop", Usage(7, 2, 5, 1))


def test_each_piece_of_text_is_read_once_and_the_end_counts():
    assert read(chunks([1, 2, 3, 4, 5]), logprobs=False) == [
        ReasoningDelta("hm"),
        TextDelta("Hel"),
        TextDelta("lo"),
        END,
    ]


@pytest.mark.parametrize("top", [True, False])
def test_logprobs_stand_with_their_tokens_and_markers_have_none(top):
    hel, lo = (TokenLogprob(token, -0.5, ((token, -0.5), ("no", -3.0)) if top else ()) for token in ("Hel", "lo"))
    one_by_one = read(chunks([1, 2, 3, 4, 5], top=top), logprobs=True)
    assert one_by_one == [ReasoningDelta("hm"), TextDelta("Hel", (hel,)), TextDelta("lo", (lo,)), END]
    assert read(chunks([5], top=top), logprobs=True) == [ReasoningDelta("hm"), TextDelta("Hello", (hel, lo)), END]


@pytest.mark.parametrize("logprobs", [True, False])
def test_a_turn_that_ends_with_the_last_token_it_may_have_has_an_end_and_does_not_show_it(logprobs):
    limit = {"type": "length", "length": 5}
    played = [{**chunk, "text": "".join(TOKENS[:size])} for chunk, size in zip(chunks([3, 5]), [3, 5], strict=False)]
    last = {**played[-1], "meta_info": {**played[-1]["meta_info"], "finish_reason": limit}}
    *deltas, end = read([played[0], last], logprobs=logprobs)
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == "Hello"
    assert end == END
    assert read(chunks([4], reason=limit), logprobs=logprobs)[-1] == Finished("length", END.usage)


def test_an_abort_is_a_refusal_before_the_first_text_and_a_failure_after_it():
    abort = {"type": "abort", "message": "gone", "status_code": 503}
    with pytest.raises(EngineError):
        read([{"text": "", "meta_info": {"finish_reason": abort}}], logprobs=False)
    assert isinstance(read(chunks([3], reason=abort), logprobs=False)[-1], Failed)
