"""The SQLite file: how it is opened, what is in it, and what happens to one that cannot be read.

A write-ahead log makes every commit whole even when the process is killed. The file holds people's
conversations, so nobody else may read it, and what is deleted is overwritten.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

SCHEMA_VERSION = 1
_BUSY_TIMEOUT_S = 5.0

_SETTINGS = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA secure_delete = ON;
PRAGMA foreign_keys = ON;
PRAGMA journal_size_limit = 4194304;
"""


def _counted(table: str) -> str:
    """`totals` follows every change, whoever makes it: summing up at each write would take longer and longer."""
    return f"""
CREATE TRIGGER IF NOT EXISTS {table}_added AFTER INSERT ON {table}
BEGIN UPDATE totals SET bytes = bytes + NEW.bytes; END;
CREATE TRIGGER IF NOT EXISTS {table}_changed AFTER UPDATE OF bytes ON {table}
BEGIN UPDATE totals SET bytes = bytes + NEW.bytes - OLD.bytes; END;
CREATE TRIGGER IF NOT EXISTS {table}_removed AFTER DELETE ON {table}
BEGIN UPDATE totals SET bytes = bytes - OLD.bytes; END;
"""


_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY,
    used_at REAL NOT NULL,
    model TEXT NOT NULL,
    body BLOB NOT NULL,
    input_items BLOB NOT NULL,
    events BLOB NOT NULL,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS output_items (
    item_id TEXT PRIMARY KEY,
    response_id TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    used_at REAL NOT NULL,
    metadata BLOB NOT NULL,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS conversation_items (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    item_id TEXT NOT NULL,
    item BLOB NOT NULL,
    UNIQUE (conversation_id, item_id)
);
CREATE INDEX IF NOT EXISTS responses_by_age ON responses (used_at);
CREATE INDEX IF NOT EXISTS conversations_by_age ON conversations (used_at);
CREATE INDEX IF NOT EXISTS output_items_by_response ON output_items (response_id);
CREATE INDEX IF NOT EXISTS conversation_items_by_id ON conversation_items (item_id);
CREATE TABLE IF NOT EXISTS totals (bytes INTEGER NOT NULL);
INSERT INTO totals SELECT 0 WHERE NOT EXISTS (SELECT * FROM totals);
{_counted("responses")}
{_counted("conversations")}
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


def _open(path: Path) -> sqlite3.Connection:
    """A file that is no database of ours is moved aside, never overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if not _is_damaged(error):
            raise OSError(f"{path}: {error}") from error
        _set_aside(path, str(error))
        return _connect(path)


def _is_damaged(error: sqlite3.DatabaseError) -> bool:
    """The primary result code, without the details that SQLite adds in the upper bytes."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _set_aside(path: Path, reason: str) -> None:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.replace(aside.with_name(aside.name + suffix))
    logger.warning("%s cannot be read (%s): moved to %s, starting with an empty one", path, reason, aside.name)


def _connect(path: Path) -> sqlite3.Connection:
    # SQLite gives its log files the mode of the database file, so that one is made first.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    path.chmod(0o600)
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(_SETTINGS)
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise _other_version(version)
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _other_version(version: int) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(f"made by another version of sgcx: {version}, not {SCHEMA_VERSION}")
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    return error


class Database:
    """A connection that outlives damage: the file is replaced by an empty one, and the work done there.

    Every other failure of SQLite (a full disk, a lock held too long) is an `OSError`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = _open(path)

    def close(self) -> None:
        self._connection.close()

    def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            return work(self._connection)
        except sqlite3.DatabaseError as error:
            if not _is_damaged(error):
                raise OSError(f"{self._path}: {error}") from error
            self._connection.close()
            _set_aside(self._path, str(error))
        self._connection = _open(self._path)
        return work(self._connection)

    def transact(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        def whole(connection: sqlite3.Connection) -> Result:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        return self.run(whole)

    def rows(self, query: str, *arguments: str | float) -> list[tuple[object, ...]]:
        return self.run(lambda connection: connection.execute(query, arguments).fetchall())

    def row(self, query: str, *arguments: str | float) -> tuple[object, ...] | None:
        return next(iter(self.rows(query, *arguments)), None)

    def give_back_space(self) -> None:
        """Pages that hold nothing go back to the file system; the file would never shrink otherwise."""
        # Not `execute`, which takes the first step of a statement only: that would free a single page.
        self.run(lambda connection: connection.executescript("PRAGMA incremental_vacuum"))
