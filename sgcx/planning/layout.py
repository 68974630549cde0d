"""Chooses GPUs, and the largest settings with which a model fits on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sgcx.planning.memory import (
    GIB,
    Fit,
    Settings,
    allowed_tp_sizes,
    fit,
    needed_bytes,
    overhead_bytes,
    weights_per_gpu,
)
from sgcx.planning.profile import HubCheckpoint, KvCacheDtype, MlaAttention
from sgcx.planning.snapshot import GpuSnapshot

MINIMUM_CONTEXT_LENGTH = 32_768
"""Less leaves Codex no room to work beside its own instructions and tools."""
DEFAULT_MAX_RUNNING_REQUESTS = 16
_CONTEXT_STEP = 1024
_CHUNK_SIZES = (16384, 8192, 4096, 2048)


@dataclass(frozen=True, slots=True)
class Demand:
    context_length: int
    context_is_fixed: bool
    sessions: int
    """How many must fit at full length at the same time."""
    max_running_requests: int
    uses_all_gpus: bool
    """The user named the GPUs, so none of them should idle."""

    @property
    def minimum_context_length(self) -> int:
        return self.context_length if self.context_is_fixed else min(self.context_length, MINIMUM_CONTEXT_LENGTH)

    @property
    def minimum_tokens(self) -> int:
        return self.sessions * self.minimum_context_length


@dataclass(frozen=True, slots=True)
class Layout:
    gpus: tuple[GpuSnapshot, ...]
    settings: Settings
    context_length: int
    fit: Fit


@dataclass(frozen=True, slots=True)
class Shortfall:
    """How far the best group of GPUs is from the least demanding settings."""

    gpus: tuple[GpuSnapshot, ...]
    needed_bytes_per_gpu: int
    free_bytes_per_gpu: int

    @property
    def missing_bytes(self) -> int:
        return max(0, self.needed_bytes_per_gpu - self.free_bytes_per_gpu) * len(self.gpus)


def choose_layout(checkpoint: HubCheckpoint, gpus: tuple[GpuSnapshot, ...], demand: Demand) -> Layout | Shortfall:
    """The first layout that holds the full context, else the one with the longest; `gpus` is not empty."""
    shortened: list[Layout] = []
    groups = alike_groups(gpus)
    for group in groups:
        for tp_size in _tp_sizes_by_preference(checkpoint, group, demand):
            layout = _layout_on(checkpoint, roomiest(group, tp_size), demand)
            if layout is not None and layout.context_length == demand.context_length:
                return layout
            if layout is not None:
                shortened.append(layout)
    if shortened:
        return max(shortened, key=lambda layout: layout.context_length)
    return _shortfall(checkpoint, groups, demand)


def alike_groups(gpus: tuple[GpuSnapshot, ...]) -> tuple[tuple[GpuSnapshot, ...], ...]:
    """Tensor parallelism wants equal GPUs; the group with the most free memory comes first."""
    groups: dict[tuple[str, int], list[GpuSnapshot]] = {}
    for gpu in gpus:
        groups.setdefault((gpu.name, gpu.total_bytes // GIB), []).append(gpu)
    by_memory = sorted(groups.values(), key=lambda group: -sum(gpu.free_bytes for gpu in group))
    return tuple(tuple(group) for group in by_memory)


def roomiest(group: tuple[GpuSnapshot, ...], count: int) -> tuple[GpuSnapshot, ...]:
    by_room = sorted(group, key=lambda gpu: (-gpu.free_bytes, gpu.index))
    return tuple(sorted(by_room[:count], key=lambda gpu: gpu.index))


def least_settings(checkpoint: HubCheckpoint, gpu: GpuSnapshot, tp_size: int, demand: Demand) -> Settings:
    """The settings that take the least memory."""
    return Settings(
        tp_size=tp_size,
        chunked_prefill_size=_CHUNK_SIZES[-1],
        cuda_graph_max_bs=2 * demand.max_running_requests,
        kv_cache_dtype=_kv_cache_dtypes(checkpoint, gpu)[-1],
    )


def _tp_sizes_by_preference(checkpoint: HubCheckpoint, group: tuple[GpuSnapshot, ...], demand: Demand) -> list[int]:
    """First the fewest GPUs that the weights fill by half at most: the other half is for the cache."""
    sizes = allowed_tp_sizes(checkpoint, len(group))
    roomy = [size for size in sizes if _weights_fill_half_at_most(checkpoint, group, size)]
    preferred = roomy[0] if roomy and not demand.uses_all_gpus else sizes[-1]
    return sorted(sizes, key=lambda size: (size < preferred, abs(size - preferred)))


def _weights_fill_half_at_most(checkpoint: HubCheckpoint, group: tuple[GpuSnapshot, ...], tp_size: int) -> bool:
    usable = _free_bytes(roomiest(group, tp_size)) - overhead_bytes(tp_size)
    return 2 * weights_per_gpu(checkpoint, tp_size) <= usable


def _layout_on(checkpoint: HubCheckpoint, gpus: tuple[GpuSnapshot, ...], demand: Demand) -> Layout | None:
    free_bytes = _free_bytes(gpus)
    wanted_tokens = demand.sessions * demand.context_length
    for settings in _ladder(checkpoint, gpus, demand):
        result = fit(checkpoint, settings, free_bytes)
        if result.max_total_num_tokens >= wanted_tokens:
            return Layout(gpus, settings, demand.context_length, result)
    return _shortened(checkpoint, gpus, demand)


def _shortened(checkpoint: HubCheckpoint, gpus: tuple[GpuSnapshot, ...], demand: Demand) -> Layout | None:
    settings = least_settings(checkpoint, gpus[0], len(gpus), demand)
    result = fit(checkpoint, settings, _free_bytes(gpus))
    if result.max_total_num_tokens < demand.minimum_tokens or demand.context_is_fixed:
        return None
    context_length = result.max_total_num_tokens // demand.sessions // _CONTEXT_STEP * _CONTEXT_STEP
    return Layout(gpus, settings, min(context_length, demand.context_length), result)


def _ladder(checkpoint: HubCheckpoint, gpus: tuple[GpuSnapshot, ...], demand: Demand) -> Iterator[Settings]:
    """From fast and roomy to slow and tight: smaller prefill steps first, then a smaller cache format."""
    for kv_cache_dtype in _kv_cache_dtypes(checkpoint, gpus[0]):
        for chunk in _CHUNK_SIZES:
            if chunk <= _largest_chunk(gpus[0].total_bytes):
                yield Settings(
                    tp_size=len(gpus),
                    chunked_prefill_size=chunk,
                    cuda_graph_max_bs=2 * demand.max_running_requests,
                    kv_cache_dtype=kv_cache_dtype,
                )


def _largest_chunk(total_bytes: int) -> int:
    """SGLang's own brackets."""
    if total_bytes >= 160 * GIB:
        return 16384
    if total_bytes >= 60 * GIB:
        return 8192
    return 4096 if total_bytes >= 35 * GIB else 2048


def _kv_cache_dtypes(checkpoint: HubCheckpoint, gpu: GpuSnapshot) -> tuple[KvCacheDtype, ...]:
    """FP8 halves the cache where SGLang's kernels for it are sound: for latent attention, on B200 and B300 only."""
    if isinstance(checkpoint.attention, MlaAttention):
        sound = gpu.compute_capability[0] == 10
    else:
        sound = gpu.compute_capability >= (8, 9)
    return ("auto", "fp8_e4m3") if sound else ("auto",)


def _shortfall(checkpoint: HubCheckpoint, groups: tuple[tuple[GpuSnapshot, ...], ...], demand: Demand) -> Shortfall:
    def on(group: tuple[GpuSnapshot, ...]) -> Shortfall:
        gpus = roomiest(group, allowed_tp_sizes(checkpoint, len(group))[-1])
        settings = least_settings(checkpoint, gpus[0], len(gpus), demand)
        return Shortfall(
            gpus=gpus,
            needed_bytes_per_gpu=needed_bytes(checkpoint, settings, demand.minimum_tokens),
            free_bytes_per_gpu=_free_bytes(gpus),
        )

    return min((on(group) for group in groups), key=lambda shortfall: shortfall.missing_bytes)


def _free_bytes(gpus: tuple[GpuSnapshot, ...]) -> int:
    return min(gpu.free_bytes for gpu in gpus)
