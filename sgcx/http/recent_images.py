"""Images that were fetched a moment ago: clients send their whole history with every turn, the URLs in it too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from sgcx.byte_sizes import MIB

MAX_BYTES = 64 * MIB
MAX_AGE_S = 600.0


@dataclass(frozen=True, slots=True)
class FetchedImage:
    data_url: str
    size_bytes: int
    """Of the image itself."""


class RecentImages:
    """By their URLs. Bounded in size and age; the oldest go first."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._by_url: dict[str, tuple[FetchedImage, float]] = {}
        """Each with the time when it was fetched; oldest first."""
        self._bytes = 0

    def get(self, url: str) -> FetchedImage | None:
        self._let_go()
        image, _ = self._by_url.get(url, (None, 0.0))
        return image

    def put(self, url: str, image: FetchedImage) -> None:
        if url in self._by_url:
            self._remove(url)
        self._by_url[url] = image, self._clock()
        self._bytes += _size_bytes(url, image)
        self._let_go()

    def _let_go(self) -> None:
        while self._by_url:
            url, (_, fetched_at) = next(iter(self._by_url.items()))
            if self._bytes <= MAX_BYTES and self._clock() - fetched_at < MAX_AGE_S:
                return
            self._remove(url)

    def _remove(self, url: str) -> None:
        image, _ = self._by_url.pop(url)
        self._bytes -= _size_bytes(url, image)


def _size_bytes(url: str, image: FetchedImage) -> int:
    """What it takes to remember it."""
    return len(url) + len(image.data_url)
