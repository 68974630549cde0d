"""One GPU's memory as a bar with its legend, drawn as text."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.byte_sizes import GIB
from sgcx.planning.memory import MemoryEstimate

_SMALLEST_PART_BYTES = GIB // 20
"""Less would be shown as 0.0."""


@dataclass(frozen=True, slots=True)
class Part:
    label: str
    size_bytes: int
    block: str


def memory_parts(memory: MemoryEstimate) -> tuple[Part, ...]:
    """In the order in which the GPU fills; parts too small to be seen are left out."""
    reserve = memory.overhead_bytes + memory.reserve_bytes
    parts = (
        Part("weights", memory.weights_bytes, "█"),
        Part("KV cache", memory.kv_cache_bytes, "▓"),
        Part("draft model", memory.draft_bytes, "▚"),
        Part("activations, graphs", memory.runtime_bytes, "▒"),
        Part("images", memory.multimodal_bytes, "▞"),
        Part("CUDA, reserve", reserve, "░"),
        Part("not used", max(0, memory.free_bytes - memory.total_bytes), " "),
    )
    return tuple(part for part in parts if part.size_bytes >= _SMALLEST_PART_BYTES)


def memory_bar(memory: MemoryEstimate, width: int) -> str:
    """As long as `width`: the ends of the parts are rounded, not their lengths, so that they add up."""
    total = sum(part.size_bytes for part in memory_parts(memory))
    bar, filled_bytes = "", 0
    for part in memory_parts(memory):
        filled_bytes += part.size_bytes
        end = round(filled_bytes * width / total)
        bar += part.block * (end - len(bar))
    return bar


def memory_legend(memory: MemoryEstimate) -> tuple[str, ...]:
    return tuple(f"{part.block} {part.label} {part.size_bytes / GIB:.1f}" for part in memory_parts(memory))
