"""How far a transfer is, how fast it goes, and when it will be done. Pure: byte counts and times in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

TransferStage = Literal["download", "verify"]
_WINDOW_S = 20.0


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """`bytes_per_s` and `eta_s` are None until there is something to say."""

    stage: TransferStage
    repository: str
    done_bytes: int
    total_bytes: int
    bytes_per_s: float | None = None
    eta_s: float | None = None


class TransferMeter:
    """The speed is that of the last twenty seconds: what was there before says nothing about the rest."""

    def __init__(self, stage: TransferStage, repository: str, total_bytes: int) -> None:
        self._stage: TransferStage = stage
        self._repository = repository
        self._total_bytes = total_bytes
        self._seen: deque[tuple[float, int]] = deque()

    def feed(self, done_bytes: int, now_s: float) -> TransferProgress:
        self._seen.append((now_s, done_bytes))
        while len(self._seen) > 2 and now_s - self._seen[0][0] > _WINDOW_S:
            self._seen.popleft()
        speed = self._speed()
        eta_s = (self._total_bytes - done_bytes) / speed if speed else None
        return TransferProgress(self._stage, self._repository, done_bytes, self._total_bytes, speed, eta_s)

    def _speed(self) -> float | None:
        (began_s, before), (now_s, after) = self._seen[0], self._seen[-1]
        return (after - before) / (now_s - began_s) if now_s > began_s and after > before else None
