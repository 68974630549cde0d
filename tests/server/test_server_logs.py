from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgcx.server.log_reading import MAX_LINE_BYTES, LineSplitter, LogReader, follow, tail
from sgcx.server.log_rotation import LogRotator, rotate_by_rename, rotated

Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


def append(path: Path, text: str) -> None:
    with path.open("a", newline="") as stream:
        stream.write(text)


def split(chunks: list[bytes]) -> list[str]:
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.finish()


@given(st.lists(st.text("aé日\r\n", max_size=20)), st.lists(st.integers(0, 400)))
def test_any_chunking_gives_the_same_lines(texts: list[str], cuts: list[int]) -> None:
    data = "".join(texts).encode()
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]
    expected = [line for line in data.decode().replace("\r", "\n").split("\n") if line]
    assert split(chunks) == split([data]) == expected


def test_an_endless_line_is_cut_wherever_the_chunks_fall() -> None:
    data = b"x" * (2 * MAX_LINE_BYTES + 5) + b"\nnext\n"
    chunks = [data[start : start + 10_007] for start in range(0, len(data), 10_007)]
    assert [len(line) for line in split(chunks)] == [MAX_LINE_BYTES, MAX_LINE_BYTES, 5, 4]
    assert split(chunks) == split([data])


def test_a_log_over_its_bound_is_copied_and_emptied(log: Path) -> None:
    rotator = LogRotator(log, max_bytes=10, keep=2)
    assert not rotator.rotate_if_needed()
    for number in range(4):
        append(log, f"{number}" * 11)
        assert rotator.rotate_if_needed()
    assert not rotator.rotate_if_needed()
    assert log.read_bytes() == b""
    assert rotated(log, 1).read_text() == "3" * 11
    assert rotated(log, 2).read_text() == "2" * 11
    assert not rotated(log, 3).exists()
    assert stat.S_IMODE(rotated(log, 1).stat().st_mode) == 0o600


def test_a_writer_goes_on_at_the_new_end_after_a_rotation(log: Path) -> None:
    with log.open("ab", buffering=0) as writer:
        writer.write(b"before, long enough")
        LogRotator(log, max_bytes=10).rotate_if_needed()
        writer.write(b"after")
    assert log.read_bytes() == b"after"


def test_the_bound_holds_even_if_no_copy_can_be_made(log: Path) -> None:
    append(log, "x" * 20)
    log.with_name("server.log.partial").mkdir()
    assert LogRotator(log, max_bytes=10).rotate_if_needed()
    assert log.read_bytes() == b""


def test_the_rotator_works_on_its_own_thread(log: Path, until: Until) -> None:
    append(log, "x" * 20)
    rotator = LogRotator(log, max_bytes=10, interval_s=0.01)
    rotator.start()
    until(lambda: rotated(log, 1).exists() and log.stat().st_size == 0)
    rotator.stop()


def test_an_empty_log_is_not_worth_a_rotation(log: Path) -> None:
    rotate_by_rename(log)
    log.touch()
    rotate_by_rename(log)
    assert not rotated(log, 1).exists()


def test_a_reader_loses_nothing_over_truncation_and_renaming(log: Path) -> None:
    reader = LogReader(log)
    assert reader.read() == b""
    append(log, "first, which is long\n")
    assert reader.read() == b"first, which is long\n"
    append(log, "unread before the truncation\n")
    LogRotator(log, max_bytes=1).rotate_if_needed()
    append(log, "second\n")
    assert reader.read() == b"unread before the truncation\nsecond\n"
    append(log, "unread before the renaming\n")
    rotate_by_rename(log)
    append(log, "third\n")
    assert reader.read() + reader.read() == b"unread before the renaming\nthird\n"
    reader.close()


def test_the_tail_is_the_last_lines(log: Path) -> None:
    assert tail(log, 3) == []
    append(log, "".join(f"line {number} {'x' * 100}\n" for number in range(5000)) + "unfinished")
    assert [line.split(" x")[0] for line in tail(log, 3)] == ["line 4998", "line 4999", "unfinished"]
    assert tail(log, 0) == []
    assert len(tail(log, 10_000)) == 5001


def test_following_shows_the_last_lines_and_then_each_new_one(log: Path) -> None:
    append(log, "one\ntwo\nthr")
    events: Iterator[str] = iter(["ee\n", "rotate", "four\n", "truncate", "five\nsix"])

    def next_event(_: float) -> None:
        match next(events, None):
            case "rotate":
                rotate_by_rename(log)
            case "truncate":
                LogRotator(log, max_bytes=1).rotate_if_needed()
            case None:
                ended.append(True)
            case text:
                append(log, text)

    ended: list[bool] = []
    lines = list(follow(log, lines=2, until=lambda: bool(ended), wait=next_event))
    assert lines == ["one", "two", "three", "four", "five", "six"]
