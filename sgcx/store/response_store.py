"""Responses and conversations in one SQLite file, bounded in size and age.

One `ResponseStore` belongs to one thread at a time (`AsyncStore` sees to that); several processes may share the
file. `max_bytes` counts packed payloads: when a write makes them more, what was written longest ago goes, until
they fit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from sgcx.responses.continuation.storage import Conversation, StoredResponse
from sgcx.responses.wire import JsonObject
from sgcx.store.bounds import Bounds
from sgcx.store.database import Database
from sgcx.store.packing import by_id, pack, unpack_object, unpack_objects

Result = TypeVar("Result")
Table = Literal["responses", "conversations"]


class ResponseStore:
    """`ttl_s` counts from the last write, so a conversation in use does not expire."""

    def __init__(self, path: Path, *, max_bytes: int, ttl_s: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._bounds = Bounds(max_bytes, ttl_s, clock)
        self._database = Database(path)
        self._write(lambda _: None)  # drops what expired while nobody was here

    def close(self) -> None:
        self._database.close()

    # responses

    def put_response(
        self, response: JsonObject, input_items: Sequence[JsonObject], events: Sequence[JsonObject]
    ) -> None:
        response_id = str(response["id"])
        payloads = (pack(response), pack(input_items), pack(events))
        row = (response_id, self._clock(), str(response.get("model")), *payloads, sum(map(len, payloads)))
        items = [(item_id, response_id) for item_id in by_id(response.get("output"))]

        def put(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM responses WHERE id = ?", (response_id,))
            connection.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            connection.executemany("INSERT OR REPLACE INTO output_items VALUES (?, ?)", items)

        self._write(put)

    def get_response(self, response_id: str) -> StoredResponse | None:
        row = self._live("SELECT body, input_items FROM responses WHERE id = ? AND used_at >= ?", response_id)
        return None if row is None else StoredResponse(unpack_object(row[0]), unpack_objects(row[1]))

    def get_events(self, response_id: str) -> tuple[JsonObject, ...] | None:
        row = self._live("SELECT events FROM responses WHERE id = ? AND used_at >= ?", response_id)
        return None if row is None else unpack_objects(row[0])

    def delete_response(self, response_id: str) -> bool:
        return self._delete("responses", response_id)

    def find_items(self, item_ids: Sequence[str]) -> dict[str, JsonObject]:
        found = {item_id: self._conversation_item(item_id) or self._output_item(item_id) for item_id in item_ids}
        return {item_id: item for item_id, item in found.items() if item is not None}

    def _conversation_item(self, item_id: str) -> JsonObject | None:
        row = self._live(
            "SELECT item FROM conversation_items JOIN conversations ON id = conversation_id"
            " WHERE item_id = ? AND used_at >= ?",
            item_id,
        )
        return None if row is None else unpack_object(row[0])

    def _output_item(self, item_id: str) -> JsonObject | None:
        row = self._live(
            "SELECT body FROM output_items JOIN responses ON id = response_id WHERE item_id = ? AND used_at >= ?",
            item_id,
        )
        return None if row is None else by_id(unpack_object(row[0]).get("output")).get(item_id)

    # conversations

    def create_conversation(
        self, conversation_id: str, metadata: JsonObject, items: Sequence[JsonObject]
    ) -> Conversation:
        now, packed = self._clock(), pack(metadata)
        row = (conversation_id, int(now), now, packed, len(packed))

        def create(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO conversations VALUES (?, ?, ?, ?, ?)", row)
            _insert_items(connection, conversation_id, items)

        self._write(create)
        return Conversation(conversation_id, int(now), metadata)

    def get_conversation(self, conversation_id: str) -> Conversation | None:
        query = "SELECT created_at, metadata FROM conversations WHERE id = ? AND used_at >= ?"
        row = self._live(query, conversation_id)
        if row is None:
            return None
        created_at, metadata = row
        assert isinstance(created_at, int)
        return Conversation(conversation_id, created_at, unpack_object(metadata))

    def update_conversation(self, conversation_id: str, metadata: JsonObject) -> Conversation | None:
        packed = pack(metadata)

        def update(connection: sqlite3.Connection) -> None:
            if self._touch(connection, conversation_id):
                connection.execute(
                    "UPDATE conversations SET bytes = bytes - LENGTH(metadata) + ?, metadata = ? WHERE id = ?",
                    (len(packed), packed, conversation_id),
                )

        self._write(update)
        return self.get_conversation(conversation_id)

    def delete_conversation(self, conversation_id: str) -> bool:
        return self._delete("conversations", conversation_id)

    def add_items(self, conversation_id: str, items: Sequence[JsonObject]) -> bool:
        def add(connection: sqlite3.Connection) -> bool:
            known = self._touch(connection, conversation_id)
            if known:
                _insert_items(connection, conversation_id, items)
            return known

        return self._write(add)

    def conversation_items(self, conversation_id: str) -> tuple[JsonObject, ...] | None:
        if self.get_conversation(conversation_id) is None:
            return None
        query = "SELECT item FROM conversation_items WHERE conversation_id = ? ORDER BY position"
        return tuple(unpack_object(item) for (item,) in self._database.rows(query, conversation_id))

    def delete_item(self, conversation_id: str, item_id: str) -> bool:
        key = (conversation_id, item_id)

        def delete(connection: sqlite3.Connection) -> bool:
            query = "SELECT LENGTH(item) FROM conversation_items WHERE conversation_id = ? AND item_id = ?"
            row: tuple[int] | None = connection.execute(query, key).fetchone()
            if row is None:
                return False
            connection.execute("DELETE FROM conversation_items WHERE conversation_id = ? AND item_id = ?", key)
            connection.execute("UPDATE conversations SET bytes = bytes - ? WHERE id = ?", (*row, conversation_id))
            return True

        return self._write(delete)

    # access

    def _live(self, query: str, key: str) -> tuple[object, ...] | None:
        """The row of `key` unless it has expired. `query` has a place for each of the two."""
        return self._database.row(query, key, self._bounds.oldest())

    def _touch(self, connection: sqlite3.Connection, conversation_id: str) -> bool:
        query = "UPDATE conversations SET used_at = ? WHERE id = ? AND used_at >= ?"
        return connection.execute(query, (self._clock(), conversation_id, self._bounds.oldest())).rowcount > 0

    def _delete(self, table: Table, key: str) -> bool:
        query = f"DELETE FROM {table} WHERE id = ? AND used_at >= ?"
        return self._write(lambda connection: connection.execute(query, (key, self._bounds.oldest())).rowcount > 0)

    def _write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Every write leaves the store within its bounds."""

        def bounded(connection: sqlite3.Connection) -> Result:
            result = work(connection)
            self._bounds.make_room(connection)
            return result

        result = self._database.transact(bounded)
        self._database.give_back_space()
        return result


def _insert_items(connection: sqlite3.Connection, conversation_id: str, items: Sequence[JsonObject]) -> None:
    added_bytes = 0
    for item in items:
        packed = pack(item)
        added = connection.execute(
            "INSERT INTO conversation_items (conversation_id, item_id, item) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (conversation_id, str(item["id"]), packed),
        )
        added_bytes += len(packed) if added.rowcount > 0 else 0
    connection.execute("UPDATE conversations SET bytes = bytes + ? WHERE id = ?", (added_bytes, conversation_id))
