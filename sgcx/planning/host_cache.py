"""A second, larger cache in the machine's own memory, for sessions that the GPUs' cache has to let go."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.byte_sizes import gib
from sgcx.planning.backends import PAGE_TOKENS, attention_backend
from sgcx.planning.layout import Layout
from sgcx.planning.memory import kv_bytes_per_token
from sgcx.planning.plan import Decision, Declined, Wishes
from sgcx.planning.profile import HubCheckpoint
from sgcx.planning.snapshot import HardwareSnapshot

_GB = 10**9
"""SGLang counts this one size in 10⁹ bytes."""
_SHARE_OF_MEMORY = 0.4
_KEPT_FREE_BYTES = 32 * _GB
_LARGEST_RATIO = 2.0
_FORGETS_DRAFTS = "0.5.10.post1"
"""From 0.5.11 on the draft's cache goes with the model's (SGLang pull request 21125)."""
_SMALLEST_RATIO = 1.2
"""SGLang refuses a host cache that is not larger than the GPU's."""


@dataclass(frozen=True, slots=True)
class HostCache:
    gigabytes_per_gpu: int
    tokens: int
    total_bytes: int


def spare_memory_bytes(hardware: HardwareSnapshot) -> int:
    """What a host cache may take of one machine; negative where there is too little for anything."""
    return hardware.usable_memory_bytes - _KEPT_FREE_BYTES


def choose_host_cache(
    hardware: HardwareSnapshot, checkpoint: HubCheckpoint, layout: Layout, wishes: Wishes
) -> HostCache | None:
    """None when nobody asks for it, or the machine has too little."""
    if wishes.host_cache_bytes is None:
        return None
    wanted_bytes = None if wishes.host_cache_bytes == "auto" else wishes.host_cache_bytes
    return _largest(hardware, checkpoint, layout, wanted_bytes)


def host_cache_decisions(checkpoint: HubCheckpoint, layout: Layout, host_cache: HostCache | None) -> list[Decision]:
    if host_cache is None:
        return []
    because = (
        f"{gib(host_cache.total_bytes)} of the machine's memory keep {host_cache.tokens:,} tokens of older sessions"
    )
    decisions = [
        Decision("enable_hierarchical_cache", True, because),
        Decision("hicache_size", host_cache.gigabytes_per_gpu, "GB for each GPU"),
    ]
    if attention_backend(checkpoint, layout.gpus[0]).value == "fa3":
        decisions += [
            Decision(
                "hicache_io_backend", "direct", "with the other one SGLang gives up FlashAttention 3 for decoding"
            ),
            Decision("page_size", PAGE_TOKENS, "direct copies are slow in smaller pieces"),
        ]
    return decisions


def host_cache_warnings(layout: Layout, host_cache: HostCache | None, sglang_version: str) -> list[str]:
    if host_cache is None or layout.settings.draft is None or sglang_version != _FORGETS_DRAFTS:
        return []
    return [
        f"SGLang {sglang_version} keeps nothing of the draft model in the host cache: a session that comes back "
        "from there is guessed badly, and decodes no faster than without guesses"
    ]


def declined_host_cache(
    hardware: HardwareSnapshot,
    checkpoint: HubCheckpoint,
    layout: Layout,
    wishes: Wishes,
    host_cache: HostCache | None,
) -> list[Declined]:
    if host_cache is not None:
        return []
    possible = _largest(hardware, checkpoint, layout, None)
    if possible is None or wishes.host_cache_bytes is not None:
        least_bytes = int(layout.fit.estimate.kv_cache_bytes * len(layout.gpus) * _SMALLEST_RATIO)
        return [Declined("host-memory cache", f"it must be larger than the GPUs' own: {gib(least_bytes)} at least")]
    return [
        Declined(
            "host-memory cache",
            f"{gib(possible.total_bytes)} of the machine's memory could keep {possible.tokens:,} more tokens: "
            "--host-cache auto",
        )
    ]


def _largest(
    hardware: HardwareSnapshot, checkpoint: HubCheckpoint, layout: Layout, wanted_bytes: int | None
) -> HostCache | None:
    """`wanted_bytes`: on one node; None takes what the machine can spare. None when that is too little to be of use."""
    gpu_count = len(layout.gpus)
    device_bytes = layout.fit.estimate.kv_cache_bytes
    spare = spare_memory_bytes(hardware)
    allowed = min(spare * _SHARE_OF_MEMORY, device_bytes * gpu_count * _LARGEST_RATIO)
    per_gpu = int((allowed if wanted_bytes is None else wanted_bytes) // gpu_count // _GB)
    if per_gpu * _GB < device_bytes * _SMALLEST_RATIO or layout.gpus[0].shares_host_memory:
        return None
    return HostCache(
        gigabytes_per_gpu=per_gpu,
        tokens=per_gpu * _GB // kv_bytes_per_token(checkpoint, layout.settings),
        total_bytes=per_gpu * _GB * gpu_count,
    )
