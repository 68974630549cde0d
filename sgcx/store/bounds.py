"""What is too old or too much, and goes."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

_OLDEST_FIRST = """
SELECT 'responses', id, bytes, used_at FROM responses
UNION ALL SELECT 'conversations', id, bytes, used_at FROM conversations
ORDER BY used_at
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    max_bytes: int
    ttl_s: float
    clock: Callable[[], float]

    def oldest(self) -> float:
        """What was written before this moment no longer exists, whether or not it is still in the file."""
        return self.clock() - self.ttl_s

    def make_room(self, connection: sqlite3.Connection) -> None:
        limit = (self.oldest(),)
        connection.execute("DELETE FROM responses WHERE used_at < ?", limit)
        connection.execute("DELETE FROM conversations WHERE used_at < ?", limit)
        evicted = self._surplus(connection)
        for table, key in evicted:
            connection.execute(f"DELETE FROM {table} WHERE id = ?", (key,))
        if evicted:
            logger.info("the store is full: dropped the %d oldest entries", len(evicted))

    def _surplus(self, connection: sqlite3.Connection) -> list[tuple[str, str]]:
        total: int = connection.execute("SELECT bytes FROM totals").fetchone()[0]
        surplus: list[tuple[str, str]] = []
        if total <= self.max_bytes:
            return surplus
        for table, key, size, _ in connection.execute(_OLDEST_FIRST):
            if total <= self.max_bytes:
                break
            surplus.append((table, key))
            total -= size
        return surplus
