"""The output item that tells of a compaction."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.responses import events
from sgcx.responses.events import Event
from sgcx.responses.output.items import ItemStatus
from sgcx.responses.wire import JsonObject


@dataclass(slots=True)
class CompactionItem:
    id: str
    _sealed: str = ""

    def snapshot(self, status: ItemStatus) -> JsonObject:  # noqa: ARG002  (the API gives it none)
        return compaction_item(self.id, self._sealed)

    def opened(self, output_index: int) -> list[Event]:
        return [events.compacting(self.id, output_index)]

    def append(self, text: str, output_index: int) -> list[Event]:  # noqa: ARG002
        self._sealed += text
        return []

    def closed(self, output_index: int) -> list[Event]:  # noqa: ARG002
        return []


def compaction_item(item_id: str, sealed: str) -> JsonObject:
    return {"type": "compaction", "id": item_id, "encrypted_content": sealed}
