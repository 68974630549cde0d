"""What a connection remembers of its own responses, and what it lets go."""

from __future__ import annotations

from sgcx.responses.continuation.recent import RecentResponses
from sgcx.responses.continuation.storage import StoredResponse


def concluded(number, size_bytes=10):
    item = {"type": "message", "role": "user", "content": "x" * size_bytes}
    return StoredResponse({"id": f"resp_{number}", "output": []}, (item,))


def remembered(recent, count):
    return [number for number in range(count) if recent.get(f"resp_{number}") is not None]


def remembering(*responses):
    recent = RecentResponses()
    for response in responses:
        recent.remember(response)
    return recent


def test_the_latest_eight_are_remembered():
    assert remembered(remembering(*map(concluded, range(10))), 10) == list(range(2, 10))


def test_large_ones_leave_room_for_fewer():
    large = [concluded(number, 30 << 20) for number in range(4)]
    recent = remembering(*large)
    assert remembered(recent, 4) == [2, 3]
    recent.forget("resp_3")
    recent.remember(concluded(0, 30 << 20))
    assert remembered(recent, 4) == [0, 2], "what is forgotten takes no room"


def test_the_latest_can_be_continued_however_large_it_is():
    recent = remembering(concluded(0), concluded(1, 65 << 20))
    assert remembered(recent, 2) == [1]
    recent.remember(concluded(2))
    assert remembered(recent, 3) == [2]
