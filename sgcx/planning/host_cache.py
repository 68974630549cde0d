"""A second, larger cache in the machine's own memory, for sessions that the GPUs' cache has to let go."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.planning.layout import Layout
from sgcx.planning.memory import kv_bytes_per_token
from sgcx.planning.profile import HubCheckpoint
from sgcx.planning.snapshot import HardwareSnapshot

_GB = 10**9
"""SGLang counts this one size in 10⁹ bytes."""
_SHARE_OF_MEMORY = 0.4
_KEPT_FREE_BYTES = 32 * _GB
_LARGEST_RATIO = 2.0
_SMALLEST_RATIO = 1.2
"""SGLang refuses a host cache that is not larger than the GPU's."""


@dataclass(frozen=True, slots=True)
class HostCache:
    gigabytes_per_gpu: int
    tokens: int
    total_bytes: int


def choose_host_cache(
    hardware: HardwareSnapshot, checkpoint: HubCheckpoint, layout: Layout, wanted_bytes: int | None
) -> HostCache | None:
    """`wanted_bytes`: on one node; None takes what the machine can spare. None when that is too little to be of use."""
    gpu_count = len(layout.gpus)
    device_bytes = layout.fit.estimate.kv_cache_bytes
    spare = hardware.usable_memory_bytes - _KEPT_FREE_BYTES
    allowed = min(spare * _SHARE_OF_MEMORY, device_bytes * gpu_count * _LARGEST_RATIO)
    per_gpu = int((allowed if wanted_bytes is None else min(wanted_bytes, spare)) // gpu_count // _GB)
    if per_gpu * _GB < device_bytes * _SMALLEST_RATIO or layout.gpus[0].shares_host_memory:
        return None
    return HostCache(
        gigabytes_per_gpu=per_gpu,
        tokens=per_gpu * _GB // kv_bytes_per_token(checkpoint, layout.settings),
        total_bytes=per_gpu * _GB * gpu_count,
    )
