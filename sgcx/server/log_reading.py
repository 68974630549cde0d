"""Reading a log that grows, is rotated and is truncated, without losing or repeating a line."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from sgcx.byte_sizes import MIB
from sgcx.server.log_rotation import rotated

MAX_LINE_BYTES = 64 * 1024
_BLOCK_BYTES = 64 * 1024
_READ_BYTES = MIB


class LineSplitter:
    """Bytes in, whole lines out; any chunking gives the same lines.

    A carriage return ends a line as well, for progress bars, so CRLF counts once and empty lines are dropped.
    A line longer than MAX_LINE_BYTES is cut there.
    """

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> list[str]:
        self._pending += chunk.replace(b"\r", b"\n")
        *complete, rest = bytes(self._pending).split(b"\n")
        lines = [piece for line in complete for piece in _cut(line)]
        *cut, rest = _cut(rest) or [b""]
        self._pending = bytearray(rest)
        return [piece.decode("utf-8", errors="replace") for piece in [*lines, *cut]]

    def finish(self) -> list[str]:
        return self.feed(b"\n")


def _cut(line: bytes) -> list[bytes]:
    return [line[start : start + MAX_LINE_BYTES] for start in range(0, len(line), MAX_LINE_BYTES)]


class LogReader:
    """`read()` returns what was written since the last call; the file need not exist yet."""

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        self._path = path
        self._stream: BinaryIO | None = None
        self._offset = offset

    def read(self) -> bytes:
        if self._stream is None and not self._open():
            return b""
        return self._read_truncated() + self._read_on() + self._read_renamed()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self) -> bool:
        try:
            self._stream = self._path.open("rb")
        except FileNotFoundError:
            return False
        return True

    def _read_on(self) -> bytes:
        assert self._stream is not None
        self._stream.seek(self._offset)
        data = self._stream.read(_READ_BYTES)
        self._offset += len(data)
        return data

    def _read_truncated(self) -> bytes:
        """The text before a truncation is complete in the newest copy, at the same offsets."""
        assert self._stream is not None
        if os.fstat(self._stream.fileno()).st_size >= self._offset:
            return b""
        offset, self._offset = self._offset, 0
        try:
            with rotated(self._path, 1).open("rb") as copy:
                copy.seek(offset)
                return copy.read()
        except FileNotFoundError:
            return b""

    def _read_renamed(self) -> bytes:
        """Goes over to the new file once the old one, which kept its content, has been read to the end."""
        assert self._stream is not None
        held = os.fstat(self._stream.fileno())
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return b""
        if (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino) or self._offset < held.st_size:
            return b""
        self.close()
        self._offset = 0
        return self._read_on() if self._open() else b""


def tail(path: Path, lines: int) -> list[str]:
    """The last lines, oldest first; read from the end, so a large log costs nothing."""
    return _tail_until(path, lines, None)[0]


def follow(
    path: Path,
    *,
    lines: int = 20,
    until: Callable[[], bool] = lambda: False,
    poll_interval_s: float = 0.2,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """The last lines and then every new one, until `until()` holds and what was written before that is out."""
    last, offset = _tail_until(path, lines, _size(path))
    yield from last
    reader, splitter = LogReader(path, offset=offset), LineSplitter()
    try:
        while True:
            ending = until()
            while chunk := reader.read():
                yield from splitter.feed(chunk)
            if ending:
                yield from splitter.finish()
                return
            wait(poll_interval_s)
    finally:
        reader.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _tail_until(path: Path, lines: int, end: int | None) -> tuple[list[str], int]:
    """The last lines before `end`, and where they end; an unfinished line is left for the follower."""
    if lines <= 0 or not path.exists():
        return [], end or 0
    with path.open("rb") as stream:
        stop = stream.seek(0, os.SEEK_END) if end is None else end
        start, data = stop, b""
        while start > 0 and data.count(b"\n") + data.count(b"\r") <= 2 * lines:
            start = max(0, start - _BLOCK_BYTES)
            stream.seek(start)
            data = stream.read(stop - start)
    if end is not None:
        complete = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        stop, data = start + complete, data[:complete]
    splitter = LineSplitter()
    return [*splitter.feed(data), *splitter.finish()][-lines:], stop
