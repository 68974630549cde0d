"""Prompts that are many times too long: how much of them is tokenized."""

from __future__ import annotations

import pytest

from sgcx.engines.prompt_bound import refuse_far_too_long
from sgcx.errors import EngineError

CONTEXT_LENGTH = 100_000
HUGE = "x" * (64 << 20)


def counted(*messages, characters_per_token=2):
    """How many characters were tokenized, and whether the prompt was refused."""
    looked_at = []

    def count_tokens(text):
        looked_at.append(len(text))
        return len(text) // characters_per_token

    try:
        refuse_far_too_long(messages, context_length=CONTEXT_LENGTH, count_tokens=count_tokens)
    except EngineError as error:
        assert (error.code, error.status) == ("context_length_exceeded", 400)
        return sum(looked_at), True
    return sum(looked_at), False


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": HUGE},
        {"role": "user", "content": [{"type": "image_url", "image_url": {}}, {"type": "text", "text": HUGE}]},
        {"role": "assistant", "content": "", "reasoning_content": HUGE},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": HUGE}}]},
    ],
    ids=["text", "part", "reasoning", "arguments"],
)
def test_a_prompt_that_is_many_times_too_long_is_refused_by_its_beginning(message):
    looked_at, refused = counted({"role": "system", "content": "be brief"}, message)
    assert refused
    assert looked_at < CONTEXT_LENGTH * 4


def test_what_may_fit_is_left_to_the_engine_and_counted_once():
    assert counted({"role": "user", "content": HUGE[: CONTEXT_LENGTH * 8]}) == (0, False)
    spaces = {"role": "user", "content": HUGE[: CONTEXT_LENGTH * 30]}
    assert counted(spaces, characters_per_token=32) == (CONTEXT_LENGTH * 30, False)


def test_images_are_no_text():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + HUGE, "detail": "auto"}}
    assert counted({"role": "user", "content": [image]}) == (0, False)
