"""Files that are not what they should be, and writers that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from sgcx.store.response_store import ResponseStore

WRITER = """
import sys, time
from pathlib import Path
from sgcx.store.response_store import ResponseStore

store = ResponseStore(Path(sys.argv[1]), max_bytes=1 << 26, ttl_s=3600, clock=time.time)
store.create_conversation("conv_1", {}, ())
number = 0
while True:
    text = f"{number} " * 2000
    store.put_response({"id": f"resp_{number}", "model": "m", "output": [], "text": text}, (), ())
    store.add_items("conv_1", ({"id": f"a_{number}"}, {"id": f"b_{number}"}))
    print(number, flush=True)
    number += 1
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "responses.sqlite3"


def opened(path):
    return ResponseStore(path, max_bytes=1 << 26, ttl_s=1e12, clock=lambda: 1e9)


def put(store, response_id="resp_1", text=""):
    store.put_response({"id": response_id, "model": "m", "output": [], "text": text}, (), ())


@pytest.mark.parametrize("already_written", [1, 7, 30])
def test_a_killed_writer_loses_nothing_that_it_had_acknowledged(path, already_written):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True)
    for line in writer.stdout:
        if int(line) >= already_written:
            break
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = [int(line) for line in writer.stdout]
    writer.stdout.close()
    assert writer.wait(10) == -signal.SIGKILL
    last = acknowledged[-1] if acknowledged else already_written

    store = opened(path)
    for number in range(last + 1):
        assert store.get_response(f"resp_{number}").response["text"] == f"{number} " * 2000
    items = [item["id"] for item in store.conversation_items("conv_1")]
    assert items[: 2 * last + 2] == [f"{letter}_{number}" for number in range(last + 1) for letter in "ab"]
    assert len(items) % 2 == 0, "items that were added together are there together"
    put(store, "resp_after")
    assert store.get_response("resp_after") is not None
    store.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_no_database_is_moved_aside_and_reported(path, caplog):
    path.write_bytes(b"not a database at all, " * 100)
    store = opened(path)
    put(store)
    assert store.get_response("resp_1") is not None
    store.close()
    [aside] = path.parent.glob("*.damaged-*")
    assert aside.read_bytes().startswith(b"not a database")
    assert "cannot be read" in caplog.text and aside.name in caplog.text


def test_damage_that_shows_later_is_met_the_same_way(path, caplog):
    store = opened(path)
    for number in range(50):
        put(store, f"resp_{number}", os.urandom(3000).hex())
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)

    store = opened(path)
    for number in range(50):
        assert store.get_response(f"resp_{number}") is None
    put(store)
    assert store.get_response("resp_1") is not None
    store.close()
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
    assert caplog.text.count("cannot be read") == 1


def test_a_second_damaged_file_does_not_overwrite_the_first(path):
    for content in (b"first " * 100, b"second " * 100):
        path.write_bytes(content)
        opened(path).close()
    kept = sorted(file.read_bytes()[:5] for file in path.parent.glob("*.damaged-*"))
    assert kept == [b"first", b"secon"]


def test_a_file_of_another_version_is_kept_aside(path, caplog):
    store = opened(path)
    put(store)
    store._database.run(lambda connection: connection.execute("PRAGMA user_version = 99"))
    store.close()
    store = opened(path)
    assert store.get_response("resp_1") is None
    store.close()
    assert "another version" in caplog.text
