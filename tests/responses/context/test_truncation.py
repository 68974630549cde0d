"""What goes and what stays where a conversation is too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sgcx.responses.context.truncation import Truncation
from sgcx.responses.items import Message, Reasoning, TextPart, ToolCall, ToolOutput


def say(role, text):
    return Message(role, (TextPart(text),))


def call(number, text="{}"):
    return ToolCall(f"c{number}", "f", text)


def output(number, text="done"):
    return ToolOutput(f"c{number}", (TextPart(text),))


def size(items):
    return sum(len(str(item)) for item in items)


def fitted(items, limit, step=1, tokens=None):
    """The result and how many counts it took, where every character of an item is a token."""
    search = Truncation(items, step, limit, tokens)
    counts = 0
    while (cut := search.propose()) is not None:
        counts += 1
        search.judge(fits=size(cut.items) <= limit)
    return search.result, counts


CONVERSATION = [
    say("developer", "rules"),
    say("user", "first"),
    Reasoning("hm"),
    call(1),
    call(2),
    output(2),
    output(1),
    say("developer", "mode"),
    say("assistant", "ok"),
    say("user", "second"),
    call(3),
    output(3),
]


def test_the_oldest_goes_first_and_a_call_takes_its_outputs_along():
    cut, _ = fitted(CONVERSATION, size(CONVERSATION) - size(CONVERSATION[1:4]))
    assert cut.items == (CONVERSATION[0], CONVERSATION[4], CONVERSATION[5], *CONVERSATION[7:])
    assert cut.dropped == 4


def test_instructions_the_last_question_and_the_last_step_stay():
    kept = (CONVERSATION[0], CONVERSATION[7], *CONVERSATION[9:])
    cut, _ = fitted(CONVERSATION, size(kept))
    assert cut.items == kept
    assert fitted(CONVERSATION, size(kept) - 1)[0] is None


def test_a_conversation_with_nothing_to_drop_cannot_be_cut():
    assert fitted([say("user", "much too long")], 3) == (None, 0)


def test_a_growing_conversation_is_cut_at_the_same_place():
    turns = [say("user" if number % 2 else "assistant", f"turn {number} " + "x" * 90) for number in range(60)]
    firsts = []
    for length in range(30, 60):
        cut, _ = fitted(turns[:length], limit=3000, step=1200)
        firsts.append(cut.items[0])
    assert len(set(firsts)) <= 6


def test_a_known_length_needs_few_counts():
    turns = [
        say("user" if number % 2 else "assistant", f"turn {number} " + "x" * (number % 7) * 30) for number in range(400)
    ]
    cut, counts = fitted(turns, limit=20_000, step=1000, tokens=size(turns))
    assert size(cut.items) <= 20_000
    assert counts <= 4


items = st.lists(
    st.one_of(
        st.builds(say, st.sampled_from(["system", "developer", "user", "assistant"]), st.text(max_size=20)),
        st.builds(Reasoning, st.text(max_size=20)),
        st.builds(call, st.integers(0, 3), st.text(max_size=20)),
        st.builds(output, st.integers(0, 3), st.text(max_size=20)),
    ),
    max_size=20,
)


@given(items, st.integers(0, 600), st.integers(1, 100), st.none() | st.integers(0, 2000))
def test_no_history_is_cut_wrongly(history, limit, step, tokens):
    cut, _ = fitted(history, limit, step, tokens)
    if cut is None:
        return
    assert size(cut.items) <= limit
    assert cut.dropped == len(history) - len(cut.items)
    told = [item for item in history if isinstance(item, Message) and item.role in ("system", "developer")]
    assert [item for item in cut.items if isinstance(item, Message) and item.role in ("system", "developer")] == told
    remaining = iter(history)
    assert all(item in remaining for item in cut.items)  # in their order
    early = _answered_before_called(history)
    for outcome in cut.items:
        if isinstance(outcome, ToolOutput) and outcome.call_id not in early:
            assert any(isinstance(item, ToolCall) and item.call_id == outcome.call_id for item in cut.items)


def _answered_before_called(history):
    """An output in front of its call belongs to no call: it may stay alone."""
    seen, early = set(), set()
    for item in history:
        if isinstance(item, ToolCall):
            seen.add(item.call_id)
        elif isinstance(item, ToolOutput) and item.call_id not in seen:
            early.add(item.call_id)
    return early
