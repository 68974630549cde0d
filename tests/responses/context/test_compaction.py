"""What takes the place of a compacted history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sgcx.responses.context.compaction import SUMMARY_PREFIX, History, compacted, split_history
from sgcx.responses.input.compaction import decode_messages, encode_messages, parse_compaction_wish
from sgcx.responses.items import ImagePart, Message, Reasoning, TextPart, ToolOutput
from sgcx.responses.parsing import Node

IMAGE = ImagePart("data:image/png;base64,AA==", "auto")


def say(role, *texts):
    return Message(role, tuple(map(TextPart, texts)))


def texts(messages):
    return ["".join(part.text for part in message.content) for message in messages]


def test_what_waits_for_the_model_stays_as_it_is():
    items = [say("user", "a"), say("assistant", "b"), say("developer", "mode"), Message("user", (IMAGE,))]
    history = split_history(items)
    assert (history.past, history.pending) == (tuple(items[:2]), tuple(items[2:]))
    assert compacted(history, "notes", kept_characters=99)[2:] == tuple(items[2:])


def test_a_turn_in_progress_is_summarized_whole():
    items = [say("user", "a"), ToolOutput("c", ())]
    assert split_history(items) == History(tuple(items), ())


def test_a_summary_alone_is_not_summarized_again():
    items = [say("developer", "rules"), say("user", SUMMARY_PREFIX + "notes"), say("user", "next")]
    history = split_history(items)
    assert history.pending == (items[2],)
    assert not history.has_news


def test_the_users_newest_messages_stay_as_far_as_there_is_room():
    past = (say("system", "x" * 99), say("user", "old"), say("user", "y" * 99), say("user", "new"), Reasoning("hm"))
    assert texts(compacted(History(past, ()), "n", kept_characters=6)) == ["x" * 99, "old", "new", SUMMARY_PREFIX + "n"]
    assert texts(compacted(History(past, ()), "n", kept_characters=5)) == ["x" * 99, "new", SUMMARY_PREFIX + "n"]


def test_the_wish_for_compaction():
    def wish(management, sent="hi"):
        return parse_compaction_wish(Node(management, "context_management"), Node(sent, "input"))

    assert wish(None) is None
    assert wish([{"type": "other"}]) is None
    assert wish([{"type": "compaction", "compact_threshold": 1000}]).threshold_tokens == 1000
    assert wish(None, [{"role": "user", "content": "hi"}, {"type": "compaction_trigger"}]).now
    assert wish(None, [{"type": "compaction_trigger"}, {"role": "user", "content": "hi"}]) is None


parts = st.builds(TextPart, st.text()) | st.just(IMAGE)
messages = st.lists(st.builds(Message, st.sampled_from(["system", "developer", "user", "assistant"]), st.tuples(parts)))


@given(messages)
def test_sealed_messages_come_back_as_they_were(kept):
    assert decode_messages(encode_messages(kept)) == tuple(kept)


@given(st.binary(max_size=60))
def test_other_sealed_content_is_no_history(content):
    assert decode_messages(content) is None
    assert decode_messages(b'{"format": 1, "messages": [' + content + b"]}") in (None, ())
