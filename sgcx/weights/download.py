"""Files that are missing are fetched by the hub's own client, in a child process that can be ended at any time.

Progress is what has arrived on the disk. A transfer that stands still is ended and begun again, and so is one that
the network broke: files that are complete stay, so nothing is fetched twice but the pieces of a broken file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from sgcx.errors import LaunchFailed, UserError
from sgcx.weights.cache import HubCache
from sgcx.weights.listing import Listing, hub_error
from sgcx.weights.progress import TransferMeter, TransferProgress

_POLL_S = 0.25
_FINAL = frozenset(
    {"GatedRepoError", "RepositoryNotFoundError", "RevisionNotFoundError", "OfflineModeIsEnabled", "HFValidationError"}
)
"""Errors that another attempt does not mend."""


@dataclass(frozen=True, slots=True)
class Patience:
    stall_s: float = 120.0
    """Without a single byte, the transfer counts as hung."""
    attempts: int = 5
    """In a row without a file or a byte more; any progress begins the count anew."""
    pause_s: float = 2.0


def download(
    listing: Listing,
    revision: str | None,
    cache: HubCache,
    on_progress: Callable[[TransferProgress], None],
    *,
    patience: Patience | None = None,
) -> None:
    """Raises UserError where the hub refuses, LaunchFailed where it cannot be had for all patience."""
    patience = patience or Patience()
    meter = TransferMeter("download", listing.repository, listing.total_bytes)
    failed = 0
    while cache.missing(listing):
        cache.remove_abandoned(listing.repository)
        before = cache.present_bytes(listing)
        error = _attempt(listing, revision, cache, lambda now: on_progress(meter.feed(now, time.monotonic())), patience)
        if error is None:
            break
        if error in _FINAL:
            raise hub_error(error, listing.repository, revision)
        failed = 0 if cache.present_bytes(listing) > before else failed + 1
        if failed >= patience.attempts:
            raise _given_up(listing, error)
        time.sleep(patience.pause_s)
    on_progress(meter.feed(cache.present_bytes(listing), time.monotonic()))


def _given_up(listing: Listing, error: str) -> LaunchFailed | UserError:
    if error == "stalled":
        return LaunchFailed(
            f"The download of {listing.repository} stands still",
            hint="Check the network; what has arrived is kept, and `sgcx pull` goes on from there",
        )
    return hub_error(error, listing.repository)


def _attempt(
    listing: Listing, revision: str | None, cache: HubCache, on_bytes: Callable[[int], None], patience: Patience
) -> str | None:
    """The kind of error that ended it; None when all has arrived."""
    orders = {
        "repository": listing.repository,
        # The branch's name where no commit is pinned: the client remembers then which commit it meant.
        "revision": listing.commit if revision is not None else None,
        "cache_dir": str(cache.directory),
        "paths": [file.path for file in listing.files],
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "sgcx.weights.downloader"],
        env={**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(orders) + "\n")
        process.stdin.flush()
        if not _watch(process, lambda: cache.present_bytes(listing), on_bytes, patience.stall_s):
            return "stalled"
        return _verdict(process)
    finally:
        process.kill()
        process.communicate()
        cache.remove_abandoned(listing.repository)


def _watch(
    process: subprocess.Popen[str], arrived: Callable[[], int], on_bytes: Callable[[int], None], stall_s: float
) -> bool:
    """Until it ends: False when it had to be given up."""
    last, since = -1, time.monotonic()
    while process.poll() is None:
        now = arrived()
        on_bytes(now)
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > stall_s:
            return False
        time.sleep(_POLL_S)
    return True


def _verdict(process: subprocess.Popen[str]) -> str | None:
    assert process.stdout is not None
    try:
        error = json.loads(process.stdout.readline())["error"]
    except (ValueError, KeyError, TypeError):
        return f"the downloader ended with exit code {process.returncode}"
    return None if error is None else str(error)
