"""Are the files those that the hub has? Their length and their hash, read from the disk."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sgcx.byte_sizes import MIB
from sgcx.weights.cache import HubCache
from sgcx.weights.listing import Listing, RepositoryFile
from sgcx.weights.progress import TransferMeter, TransferProgress

_BLOCK_BYTES = 4 * MIB
_MOST_THREADS = 8
_POLL_S = 0.25


def verify(
    listing: Listing,
    files: tuple[RepositoryFile, ...],
    cache: HubCache,
    on_progress: Callable[[TransferProgress], None],
) -> tuple[RepositoryFile, ...]:
    """The damaged ones. Reads every byte of `files`, with several threads: hashing is slower than a good disk."""
    blobs = cache.folder(listing.repository) / "blobs"
    meter = TransferMeter("verify", listing.repository, sum(file.size_bytes for file in files))
    count = _Count()
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as threads:
        pending = [threads.submit(_is_genuine, blobs / file.blob_name, file, count) for file in files]
        try:
            while not all(each.done() for each in pending):
                on_progress(meter.feed(count.total, time.monotonic()))
                time.sleep(_POLL_S)
        except BaseException:
            count.stopped = True
            threads.shutdown(cancel_futures=True)
            raise
    on_progress(meter.feed(count.total, time.monotonic()))
    return tuple(file for file, one in zip(files, pending, strict=True) if not one.result())


class _Count:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = 0
        self.stopped = False

    def add(self, count: int) -> None:
        with self._lock:
            self.total += count


def _is_genuine(path: Path, file: RepositoryFile, count: _Count) -> bool:
    git_header = f"blob {file.size_bytes}\0".encode()
    digest = hashlib.sha1(git_header) if file.sha256 is None else hashlib.sha256()
    length = 0
    try:
        with path.open("rb", buffering=0) as stream:
            while not count.stopped and (block := stream.read(_BLOCK_BYTES)):
                digest.update(block)
                length += len(block)
                count.add(len(block))
    except OSError:
        return False
    return length == file.size_bytes and digest.hexdigest() == file.blob_name
