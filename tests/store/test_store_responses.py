"""What the store keeps, for how long, and how much of it. Real SQLite files."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import stat
import threading

import pytest

from sgcx.responses.continuation.storage import Conversation
from sgcx.store.async_store import AsyncStore
from sgcx.store.response_store import ResponseStore

TTL_S = 100.0


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kept" / "responses.sqlite3"


@pytest.fixture
def store(path, clock):
    store = ResponseStore(path, max_bytes=1 << 20, ttl_s=TTL_S, clock=clock)
    yield store
    store.close()


def response(number, text="hello"):
    item = {"type": "message", "id": f"msg_{number}", "content": [{"type": "output_text", "text": text}]}
    return {"id": f"resp_{number}", "model": "m", "status": "completed", "output": [item]}


def message(item_id, text=""):
    return {"type": "message", "id": item_id, "role": "user", "content": text}


def put(store, number, text="hello"):
    store.put_response(response(number, text), (message(f"in_{number}"),), ({"sequence_number": 1},))


def rows(path, table):
    with sqlite3.connect(path) as connection:
        found = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
    connection.close()
    return found


def incompressible(seed, size):
    """Text that packing does not make much smaller."""
    return random.Random(seed).randbytes(size // 2).hex()


def test_a_response_comes_back_as_it_was(store):
    put(store, 1)
    stored = store.get_response("resp_1")
    assert (stored.response, stored.input_items) == (response(1), (message("in_1"),))
    assert store.get_events("resp_1") == ({"sequence_number": 1},)


def test_what_is_not_there_is_none_or_false(store):
    assert store.get_response("resp_x") is None
    assert store.get_events("resp_x") is None
    assert store.delete_response("resp_x") is False
    assert store.get_conversation("conv_x") is None
    assert store.update_conversation("conv_x", {}) is None
    assert store.delete_conversation("conv_x") is False
    assert store.conversation_items("conv_x") is None
    assert store.add_items("conv_x", (message("a"),)) is False
    assert store.delete_item("conv_x", "a") is False
    assert store.find_items(["a"]) == {}


def test_a_deleted_response_leaves_no_trace_in_the_file(store, path):
    put(store, 1, "x" * 10)
    assert store.find_items(["msg_1"]).keys() == {"msg_1"}
    assert store.delete_response("resp_1") is True
    assert store.get_response("resp_1") is None
    assert store.find_items(["msg_1"]) == {}
    store.close()
    assert [rows(path, table) for table in ("responses", "output_items")] == [0, 0]
    assert b"resp_1" not in path.read_bytes()


def test_a_response_of_the_same_id_is_replaced(store):
    put(store, 1, "first")
    put(store, 1, "second")
    assert store.get_response("resp_1").response == response(1, "second")


def test_only_the_owner_can_read_the_files(store, path):
    put(store, 1)
    files = list(path.parent.iterdir())
    assert {file.name for file in files} >= {path.name, f"{path.name}-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_closed_to_them(path, clock):
    path.parent.mkdir()
    path.touch(0o644)
    ResponseStore(path, max_bytes=1, ttl_s=1, clock=clock).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_responses_expire(store, clock, path):
    put(store, 1)
    clock.now += TTL_S
    assert store.get_response("resp_1") is not None
    clock.now += 1
    assert store.get_response("resp_1") is None
    assert store.delete_response("resp_1") is False
    put(store, 2)
    assert rows(path, "responses") == 1


def test_what_expired_while_nobody_was_here_goes_at_the_next_start(store, path, clock):
    put(store, 1)
    store.close()
    clock.now += TTL_S + 1
    ResponseStore(path, max_bytes=1 << 20, ttl_s=TTL_S, clock=clock).close()
    assert rows(path, "responses") == 0


def test_a_conversation_in_use_does_not_expire(store, clock):
    store.create_conversation("conv_1", {}, ())
    for _ in range(3):
        clock.now += TTL_S
        assert store.add_items("conv_1", (message(f"m{clock.now}"),))
    clock.now += TTL_S + 1
    assert store.get_conversation("conv_1") is None
    assert store.add_items("conv_1", (message("late"),)) is False


def test_the_oldest_goes_when_there_is_too_much(path, clock):
    store = ResponseStore(path, max_bytes=30_000, ttl_s=TTL_S, clock=clock)
    for number in range(10):
        clock.now += 1
        put(store, number, incompressible(number, 10_000))
    kept = [number for number in range(10) if store.get_response(f"resp_{number}")]
    store.close()
    assert kept == list(range(10 - len(kept), 10))
    assert 2 <= len(kept) <= 5


def test_conversations_count_and_go_too(path, clock):
    store = ResponseStore(path, max_bytes=30_000, ttl_s=TTL_S, clock=clock)
    store.create_conversation("conv_1", {"a": "b"}, (message("m1", incompressible(1, 20_000)),))
    clock.now += 1
    put(store, 1, incompressible(2, 20_000))
    assert store.get_conversation("conv_1") is not None
    clock.now += 1
    store.add_items("conv_1", (message("m2", incompressible(3, 20_000)),))
    assert store.get_response("resp_1") is None, "written longest ago"
    assert store.delete_item("conv_1", "m1")
    assert store.delete_item("conv_1", "m2")
    clock.now += 1
    put(store, 2, incompressible(4, 40_000))
    assert store.get_conversation("conv_1") is not None, "empty again, so there is room"
    clock.now += 1
    put(store, 3, incompressible(5, 90_000))
    assert store.get_response("resp_3") is None, "larger than everything together may be"
    store.close()


def test_the_total_is_the_sum_of_what_is_there(path, clock):
    store = ResponseStore(path, max_bytes=50_000, ttl_s=TTL_S, clock=clock)
    for number in range(30):
        clock.now += 7
        put(store, number % 12, incompressible(number, 5_000))
        store.create_conversation(f"conv_{number}", {"a": "b" * number}, (message("m", incompressible(number, 300)),))
        store.add_items(f"conv_{number - 2}", (message("n"), message("m")))
        store.update_conversation(f"conv_{number - 1}", {"c": "d"})
        store.delete_item(f"conv_{number - 3}", "n")
        if number % 5 == 0:
            store.delete_response(f"resp_{number % 12}")
            store.delete_conversation(f"conv_{number}")
    store.close()
    with sqlite3.connect(path) as connection:
        total = connection.execute("SELECT bytes FROM totals").fetchall()
        summed = connection.execute(
            "SELECT (SELECT SUM(LENGTH(body) + LENGTH(input_items) + LENGTH(events)) FROM responses)"
            " + (SELECT SUM(LENGTH(metadata)) FROM conversations) + (SELECT SUM(LENGTH(item)) FROM conversation_items)"
        ).fetchall()
    connection.close()
    assert total == summed
    assert 0 < total[0][0] <= 50_000


def test_the_file_shrinks_when_its_content_goes(store, path):
    put(store, 1, incompressible(1, 600_000))
    store.delete_response("resp_1")
    store.close()
    assert path.stat().st_size < 150_000


def test_conversations_keep_their_items_in_order(store):
    created = store.create_conversation("conv_1", {"topic": "x"}, (message("a"), message("b")))
    assert created == store.get_conversation("conv_1") == Conversation("conv_1", 1000, {"topic": "x"})
    store.add_items("conv_1", (message("c"), message("a", "again")))
    assert store.conversation_items("conv_1") == (message("a"), message("b"), message("c"))
    assert store.delete_item("conv_1", "b") is True
    assert store.delete_item("conv_1", "b") is False
    assert [item["id"] for item in store.conversation_items("conv_1")] == ["a", "c"]
    assert store.find_items(["c", "b"]) == {"c": message("c")}
    assert store.update_conversation("conv_1", {"topic": "y"}).metadata == {"topic": "y"}
    assert store.delete_conversation("conv_1") is True
    assert store.conversation_items("conv_1") is None


def test_two_conversations_may_have_the_same_item(store):
    for name in ("conv_1", "conv_2"):
        store.create_conversation(name, {}, (message("a", name),))
    store.delete_conversation("conv_1")
    assert store.conversation_items("conv_2") == (message("a", "conv_2"),)


def test_everything_is_there_after_a_restart(store, path, clock):
    put(store, 1)
    store.create_conversation("conv_1", {}, (message("a"),))
    store.close()
    again = ResponseStore(path, max_bytes=1 << 20, ttl_s=TTL_S, clock=clock)
    assert again.get_response("resp_1").response == response(1)
    assert again.conversation_items("conv_1") == (message("a"),)
    again.close()


def test_two_processes_worth_of_stores_share_a_file(store, path, clock):
    other = ResponseStore(path, max_bytes=1 << 20, ttl_s=TTL_S, clock=clock)
    put(store, 1)
    put(other, 2)
    assert other.get_response("resp_1") and store.get_response("resp_2")
    other.close()


def test_the_event_loop_goes_on_while_the_store_writes(path):
    async def run():
        before = set(threading.enumerate())
        store = AsyncStore(path)
        writes = [store.put_response(response(number), (), ()) for number in range(50)]
        await asyncio.gather(*writes)
        found = await asyncio.gather(*(store.get_response(f"resp_{number}") for number in range(50)))
        workers = set(threading.enumerate()) - before
        await store.close()
        return found, len(workers)

    found, workers = asyncio.run(run())
    assert all(found) and workers == 1


def test_a_place_that_cannot_be_written_is_an_os_error(tmp_path, clock):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        ResponseStore(tmp_path / "file" / "responses.sqlite3", max_bytes=1, ttl_s=1, clock=clock)
    (tmp_path / "directory.sqlite3").mkdir()
    with pytest.raises(OSError):
        ResponseStore(tmp_path / "directory.sqlite3", max_bytes=1, ttl_s=1, clock=clock)


def test_a_write_that_fails_changes_nothing(store, path):
    store.create_conversation("conv_1", {}, ())
    with pytest.raises(OSError):
        store.create_conversation("conv_1", {"second": "time"}, (message("a"),))
    assert store.get_conversation("conv_1").metadata == {}
    put(store, 1)
    assert store.get_response("resp_1") is not None
