"""The store for an asyncio program: one worker thread does the work, in the order it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import time
from typing import TypeVar

from sgcx.byte_sizes import GIB
from sgcx.responses.continuation.storage import Conversation, StoredResponse
from sgcx.responses.wire import JsonObject
from sgcx.store.response_store import ResponseStore

Result = TypeVar("Result")

MAX_BYTES = GIB
TTL_S = 30 * 24 * 3600.0
"""As long as the API keeps responses."""


class AsyncStore:
    """`Storage` over a `ResponseStore`. The file is opened by the first use, in the thread that then owns it."""

    def __init__(
        self, path: Path, *, max_bytes: int = MAX_BYTES, ttl_s: float = TTL_S, clock: Callable[[], float] = time
    ) -> None:
        self._open: Callable[[], ResponseStore] = lambda: ResponseStore(
            path, max_bytes=max_bytes, ttl_s=ttl_s, clock=clock
        )
        self._store: ResponseStore | None = None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="response-store")

    async def close(self) -> None:
        if self._store is not None:
            await self._run(lambda store: store.close())
        self._worker.shutdown()

    async def put_response(
        self, response: JsonObject, input_items: Sequence[JsonObject], events: Sequence[JsonObject]
    ) -> None:
        await self._run(lambda store: store.put_response(response, input_items, events))

    async def get_response(self, response_id: str) -> StoredResponse | None:
        return await self._run(lambda store: store.get_response(response_id))

    async def get_events(self, response_id: str) -> tuple[JsonObject, ...] | None:
        return await self._run(lambda store: store.get_events(response_id))

    async def delete_response(self, response_id: str) -> bool:
        return await self._run(lambda store: store.delete_response(response_id))

    async def find_items(self, item_ids: Sequence[str]) -> Mapping[str, JsonObject]:
        return await self._run(lambda store: store.find_items(item_ids))

    async def create_conversation(
        self, conversation_id: str, metadata: JsonObject, items: Sequence[JsonObject]
    ) -> Conversation:
        return await self._run(lambda store: store.create_conversation(conversation_id, metadata, items))

    async def get_conversation(self, conversation_id: str) -> Conversation | None:
        return await self._run(lambda store: store.get_conversation(conversation_id))

    async def update_conversation(self, conversation_id: str, metadata: JsonObject) -> Conversation | None:
        return await self._run(lambda store: store.update_conversation(conversation_id, metadata))

    async def delete_conversation(self, conversation_id: str) -> bool:
        return await self._run(lambda store: store.delete_conversation(conversation_id))

    async def add_items(self, conversation_id: str, items: Sequence[JsonObject]) -> bool:
        return await self._run(lambda store: store.add_items(conversation_id, items))

    async def conversation_items(self, conversation_id: str) -> tuple[JsonObject, ...] | None:
        return await self._run(lambda store: store.conversation_items(conversation_id))

    async def delete_item(self, conversation_id: str, item_id: str) -> bool:
        return await self._run(lambda store: store.delete_item(conversation_id, item_id))

    async def _run(self, work: Callable[[ResponseStore], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._worker, lambda: work(self._opened()))

    def _opened(self) -> ResponseStore:
        if self._store is None:
            self._store = self._open()
        return self._store
