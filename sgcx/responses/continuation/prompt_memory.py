"""What the latest prompts of each conversation began with: why a prefix cache misses, and tools that a turn lacks.

Clients drop their tools from a turn that must not call any, such as Codex's own compaction. The declarations stand
at the very front of a prompt, so without them nothing of the conversation behind is found in the cache. The memory
knows what they were. It is bounded and forgets the conversations that were not heard of for longest.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import orjson

from sgcx.byte_sizes import MIB
from sgcx.responses.items import InputItem
from sgcx.responses.request import ResponsesRequest
from sgcx.responses.wire import JsonValue

MissReason = Literal["first_or_evicted", "tools_changed", "instructions_changed", "input_changed"]
_MAX_KEYS = 512
_MAX_BYTES = 64 * MIB
_PROMPTS_PER_KEY = 4
"""Sub-agents share their parent's key, each with a conversation of its own."""


@dataclass(frozen=True, slots=True)
class CacheOutlook:
    """Whether a prompt begins with an earlier one. What the engine still holds of that only the usage tells.

    `earlier`: the response to the prompt it was compared with. `changed_item`: the first item that differs, where
    that is the reason.
    """

    reason: MissReason | None
    earlier: str | None = None
    changed_item: int | None = None

    def __str__(self) -> str:
        if self.reason is None:
            return "hit"
        where = "" if self.changed_item is None else f" at item {self.changed_item}"
        return f"miss: {self.reason}{where}"


@dataclass(frozen=True, slots=True)
class _Prompt:
    response_id: str
    declared: bytes | None
    """`tools` as the client sent them, as JSON; None where there was nothing in them that could be called."""
    shown: int
    """A fingerprint of the declarations in front of the prompt; of `instructions`, and of each of `items`, likewise."""
    instructions: int
    items: array[int]

    @property
    def size_bytes(self) -> int:
        return len(self.declared or b"") + len(self.items) * self.items.itemsize

    def shared(self, items: array[int]) -> int:
        """How many items both begin with."""
        low, high = 0, min(len(self.items), len(items))
        while low < high:
            middle = (low + high + 1) // 2
            if self.items[low:middle] == items[low:middle]:
                low = middle
            else:
                high = middle - 1
        return low


@dataclass(slots=True)
class PromptMemory:
    _prompts: OrderedDict[str, list[_Prompt]] = field(default_factory=OrderedDict)
    _bytes: int = 0
    """Of all keys and prompts together."""

    def left_out_tools(self, request: ResponsesRequest) -> JsonValue:
        """The tools that the conversation had until this turn came without any. None: it had none either."""
        if request.prompt_cache_key is None or request.tools.by_exposed_name:
            return None
        items = _fingerprints(request.input)
        nearest = self._nearest(request.prompt_cache_key, items)
        if nearest is None or nearest.declared is None or not nearest.shared(items):
            return None
        if nearest.instructions != hash(request.instructions):
            return None
        declared: JsonValue = orjson.loads(nearest.declared)
        return declared

    def note(self, request: ResponsesRequest, declared: JsonValue, response_id: str) -> CacheOutlook | None:
        """Remembers the prompt, and tells how it compares with those before. None without a `prompt_cache_key`.

        `declared`: the tools of `request` as they came over the wire. `response_id`: its answer.
        """
        key = request.prompt_cache_key
        if key is None:
            return None
        prompt = _prompt(request, declared, response_id)
        nearest = self._nearest(key, prompt.items)
        kept = self._forget(key)
        if nearest is not None and nearest.shared(prompt.items) == len(nearest.items):
            kept.remove(nearest)  # it goes on
        self._keep(key, [*kept, _with_tools_of(nearest, prompt)][-_PROMPTS_PER_KEY:])
        return _compare(nearest, prompt)

    def _forget(self, key: str) -> list[_Prompt]:
        prompts = self._prompts.pop(key, None)
        if prompts is None:
            return []
        self._bytes -= _size_bytes(key, prompts)
        return prompts

    def _keep(self, key: str, prompts: list[_Prompt]) -> None:
        self._prompts[key] = prompts
        self._bytes += _size_bytes(key, prompts)
        while len(self._prompts) > _MAX_KEYS or self._bytes > _MAX_BYTES:
            self._forget(next(iter(self._prompts)))

    def _nearest(self, key: str, items: array[int]) -> _Prompt | None:
        prompts = self._prompts.get(key, [])
        return max(reversed(prompts), key=lambda prompt: prompt.shared(items), default=None)


def _compare(nearest: _Prompt | None, prompt: _Prompt) -> CacheOutlook:
    if nearest is None:
        return CacheOutlook("first_or_evicted")
    if nearest.shown != prompt.shown:
        return CacheOutlook("tools_changed", nearest.response_id)
    if nearest.instructions != prompt.instructions:
        return CacheOutlook("instructions_changed", nearest.response_id)
    shared = nearest.shared(prompt.items)
    if shared < min(len(nearest.items), len(prompt.items)):
        return CacheOutlook("input_changed", nearest.response_id, shared)
    return CacheOutlook(None, nearest.response_id)


def _prompt(request: ResponsesRequest, declared: JsonValue, response_id: str) -> _Prompt:
    return _Prompt(
        response_id,
        declared=orjson.dumps(declared) if request.tools.by_exposed_name else None,
        shown=hash(orjson.dumps(request.tools.chat_tools())),
        instructions=hash(request.instructions),
        items=_fingerprints(request.input),
    )


def _with_tools_of(nearest: _Prompt | None, prompt: _Prompt) -> _Prompt:
    """Tools that stay the same are held once."""
    if nearest is None or nearest.declared != prompt.declared:
        return prompt
    return replace(prompt, declared=nearest.declared)


def _size_bytes(key: str, prompts: Sequence[_Prompt]) -> int:
    """At most: tools that several prompts hold together count for each."""
    return len(key.encode("utf-8", "surrogatepass")) + sum(prompt.size_bytes for prompt in prompts)


def _fingerprints(items: Sequence[InputItem]) -> array[int]:
    return array("q", map(hash, items))
