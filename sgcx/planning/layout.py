"""Chooses GPUs, how a model is divided among them, and the largest settings with which it fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sgcx.byte_sizes import GIB
from sgcx.planning.architecture import MlaAttention
from sgcx.planning.calibration import CalibrationKey, CalibrationTable
from sgcx.planning.divisibility import allowed_tp_sizes, stage_splits
from sgcx.planning.driver import SGLANG_VERSION
from sgcx.planning.memory import Fit, Settings, fit, needed_bytes, overhead_bytes, weights_per_gpu
from sgcx.planning.profile import HubCheckpoint, KvCacheDtype
from sgcx.planning.snapshot import GpuSnapshot
from sgcx.planning.speculation import speculation_for
from sgcx.planning.weights import Parallelism

MINIMUM_CONTEXT_LENGTH = 32_768
"""Less leaves Codex no room to work beside its own instructions and tools."""
_CONTEXT_STEP = 1024
_CHUNK_SIZES = (16384, 8192, 4096, 2048)
_SMALLEST_GRAPH = 8
_SHARED_MEMORY_RESERVE_BYTES = 8 * GIB
"""Where GPU and processor share one memory, the rest of the machine lives in it too."""


@dataclass(frozen=True, slots=True)
class Demand:
    context_length: int
    context_is_fixed: bool
    sessions: int
    """How many must fit at full length at the same time."""
    max_running_requests: int
    uses_all_gpus: bool
    """The user named the GPUs, so none of them should idle."""
    speculates: bool = False
    dp_size: int = 1
    node_count: int = 1
    nodes_have_rdma: bool = False
    sglang_version: str = SGLANG_VERSION
    calibrations: CalibrationTable = field(default_factory=CalibrationTable)

    @property
    def minimum_context_length(self) -> int:
        return self.context_length if self.context_is_fixed else min(self.context_length, MINIMUM_CONTEXT_LENGTH)

    @property
    def sessions_per_rank(self) -> int:
        return -(-self.sessions // self.dp_size)

    @property
    def minimum_tokens(self) -> int:
        return self.sessions_per_rank * self.minimum_context_length

    @property
    def wanted_tokens(self) -> int:
        return self.sessions_per_rank * self.context_length

    @property
    def cuda_graph_max_bs(self) -> int:
        return max(_SMALLEST_GRAPH, self.max_running_requests)


@dataclass(frozen=True, slots=True)
class Layout:
    gpus: tuple[GpuSnapshot, ...]
    """Of one node; further nodes have the same."""
    settings: Settings
    context_length: int
    fit: Fit
    node_count: int = 1

    @property
    def gives_nothing_up(self) -> bool:
        """Neither the format of the cache nor the speed of the prefill."""
        largest = _largest_chunk(self.gpus[0].total_bytes)
        return self.settings.kv_cache_dtype == "auto" and self.settings.chunked_prefill_size == largest


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
    groups = alike_groups(gpus)
    for divisions in (_divisions(checkpoint, groups, demand), _stages(checkpoint, groups, demand)):
        layout = _first_full_or_longest(checkpoint, divisions, demand)
        if layout is not None:
            return layout
    return _shortfall(checkpoint, groups, demand)


def _first_full_or_longest(
    checkpoint: HubCheckpoint, divisions: Iterator[tuple[tuple[GpuSnapshot, ...], Parallelism]], demand: Demand
) -> Layout | None:
    shortened: list[Layout] = []
    for group, parallelism in divisions:
        layout = _layout_on(
            checkpoint, roomiest(group, parallelism.gpu_count // demand.node_count), parallelism, demand
        )
        if layout is not None and layout.context_length == demand.context_length:
            return layout
        if layout is not None:
            shortened.append(layout)
    return max(shortened, key=lambda layout: layout.context_length, default=None)


def plannable_bytes(gpu: GpuSnapshot) -> int:
    return max(0, gpu.free_bytes - (_SHARED_MEMORY_RESERVE_BYTES if gpu.shares_host_memory else 0))


def alike_groups(gpus: tuple[GpuSnapshot, ...]) -> tuple[tuple[GpuSnapshot, ...], ...]:
    """Tensor parallelism wants equal GPUs; the group with the most free memory comes first."""
    groups: dict[tuple[str, int], list[GpuSnapshot]] = {}
    for gpu in gpus:
        groups.setdefault((gpu.name, gpu.total_bytes // GIB), []).append(gpu)
    by_memory = sorted(groups.values(), key=lambda group: -sum(plannable_bytes(gpu) for gpu in group))
    return tuple(tuple(group) for group in by_memory)


def roomiest(group: tuple[GpuSnapshot, ...], count: int) -> tuple[GpuSnapshot, ...]:
    by_room = sorted(group, key=lambda gpu: (-plannable_bytes(gpu), gpu.index))
    return tuple(sorted(by_room[:count], key=lambda gpu: gpu.index))


def smallest_need(checkpoint: HubCheckpoint, gpu: GpuSnapshot, demand: Demand) -> int:
    """On all GPUs together, over the counts that one machine has."""
    sizes = allowed_tp_sizes(checkpoint, 8)
    least = (least_settings(checkpoint, gpu, Parallelism(size), demand) for size in sizes)
    return min(each.parallelism.gpu_count * needed_bytes(checkpoint, each, demand.minimum_tokens) for each in least)


def least_settings(checkpoint: HubCheckpoint, gpu: GpuSnapshot, parallelism: Parallelism, demand: Demand) -> Settings:
    """The settings that take the least memory."""
    return Settings(
        parallelism=parallelism,
        chunked_prefill_size=_CHUNK_SIZES[-1],
        cuda_graph_max_bs=demand.cuda_graph_max_bs,
        kv_cache_dtype=_kv_cache_dtypes(checkpoint, gpu)[-1],
        calibration=demand.calibrations.get(calibration_key(checkpoint, gpu, demand)),
    )


def calibration_key(checkpoint: HubCheckpoint, gpu: GpuSnapshot, demand: Demand) -> CalibrationKey:
    return CalibrationKey(checkpoint.repository, gpu.name, demand.sglang_version)


def _divisions(
    checkpoint: HubCheckpoint, groups: tuple[tuple[GpuSnapshot, ...], ...], demand: Demand
) -> Iterator[tuple[tuple[GpuSnapshot, ...], Parallelism]]:
    """Tensor parallelism on one node; several nodes share as their network allows."""
    if demand.node_count > 1:
        for group in groups:
            yield from ((group, division) for division in _across_nodes(checkpoint, len(group), demand))
        return
    for group in groups:
        for tp_size in _tp_sizes_by_preference(checkpoint, group, demand):
            if tp_size % demand.dp_size == 0:
                yield group, Parallelism(tp_size=tp_size, dp_size=demand.dp_size)


def _stages(
    checkpoint: HubCheckpoint, groups: tuple[tuple[GpuSnapshot, ...], ...], demand: Demand
) -> Iterator[tuple[tuple[GpuSnapshot, ...], Parallelism]]:
    """Pipeline stages, for models that no power of two GPUs holds."""
    if demand.node_count == 1 and demand.dp_size == 1:
        for group in groups:
            yield from ((group, division) for division in stage_splits(checkpoint, len(group)))


def _across_nodes(checkpoint: HubCheckpoint, gpus_per_node: int, demand: Demand) -> Iterator[Parallelism]:
    """All nodes as one where the network is fast enough for every layer's exchange, else one stage for each node."""
    nodes = demand.node_count
    for size in reversed(allowed_tp_sizes(checkpoint, gpus_per_node)):
        if demand.nodes_have_rdma and size * nodes in allowed_tp_sizes(checkpoint, size * nodes):
            yield Parallelism(tp_size=size * nodes)
        yield Parallelism(tp_size=size, pp_size=nodes)


def _tp_sizes_by_preference(checkpoint: HubCheckpoint, group: tuple[GpuSnapshot, ...], demand: Demand) -> list[int]:
    """First the fewest GPUs that the weights fill by half at most: the other half is for the cache."""
    sizes = allowed_tp_sizes(checkpoint, len(group))
    roomy = [size for size in sizes if _weights_fill_half_at_most(checkpoint, group, size, demand)]
    preferred = roomy[0] if roomy and not demand.uses_all_gpus else sizes[-1]
    return sorted(sizes, key=lambda size: (size < preferred, abs(size - preferred)))


def _weights_fill_half_at_most(
    checkpoint: HubCheckpoint, group: tuple[GpuSnapshot, ...], tp_size: int, demand: Demand
) -> bool:
    settings = least_settings(checkpoint, group[0], Parallelism(tp_size), demand)
    usable = _free_bytes(roomiest(group, tp_size)) - overhead_bytes(settings)
    return 2 * weights_per_gpu(checkpoint, settings) <= usable


def _layout_on(
    checkpoint: HubCheckpoint, gpus: tuple[GpuSnapshot, ...], parallelism: Parallelism, demand: Demand
) -> Layout | None:
    free_bytes = _free_bytes(gpus)
    for settings in _ladder(checkpoint, gpus, parallelism, demand):
        result = fit(checkpoint, settings, free_bytes)
        if result.max_total_num_tokens >= demand.wanted_tokens:
            return Layout(gpus, settings, demand.context_length, result, demand.node_count)
    return _shortened(checkpoint, gpus, parallelism, demand)


def _shortened(
    checkpoint: HubCheckpoint, gpus: tuple[GpuSnapshot, ...], parallelism: Parallelism, demand: Demand
) -> Layout | None:
    settings = least_settings(checkpoint, gpus[0], parallelism, demand)
    result = fit(checkpoint, settings, _free_bytes(gpus))
    if result.max_total_num_tokens < demand.minimum_tokens or demand.context_is_fixed:
        return None
    context_length = result.max_total_num_tokens // demand.sessions_per_rank // _CONTEXT_STEP * _CONTEXT_STEP
    return Layout(gpus, settings, min(context_length, demand.context_length), result, demand.node_count)


def _ladder(
    checkpoint: HubCheckpoint, gpus: tuple[GpuSnapshot, ...], parallelism: Parallelism, demand: Demand
) -> Iterator[Settings]:
    """From fast and roomy to slow and tight: no guessing ahead, smaller prefill steps, a smaller cache format."""
    least = least_settings(checkpoint, gpus[0], parallelism, demand)
    speculation = speculation_for(checkpoint, parallelism, demand.sglang_version) if demand.speculates else None
    chunks = [chunk for chunk in _CHUNK_SIZES if chunk <= _largest_chunk(gpus[0].total_bytes)]
    if speculation is not None:
        yield replace(least, kv_cache_dtype="auto", chunked_prefill_size=chunks[0], draft=speculation.memory)
    for kv_cache_dtype in _kv_cache_dtypes(checkpoint, gpus[0]):
        for chunk in chunks:
            yield replace(least, kv_cache_dtype=kv_cache_dtype, chunked_prefill_size=chunk)


def _largest_chunk(total_bytes: int) -> int:
    """SGLang's own brackets."""
    if total_bytes >= 160 * GIB:
        return 16384
    if total_bytes >= 60 * GIB:
        return 8192
    return 4096 if total_bytes >= 35 * GIB else 2048


def _kv_cache_dtypes(checkpoint: HubCheckpoint, gpu: GpuSnapshot) -> tuple[KvCacheDtype, ...]:
    """FP8 halves the cache where SGLang's kernels for it are sound: for latent attention, on B200 and B300 only."""
    if isinstance(checkpoint.architecture.attention, MlaAttention):
        sound = gpu.compute_capability[0] == 10
    else:
        sound = gpu.compute_capability >= (8, 9)
    return ("auto", "fp8_e4m3") if sound else ("auto",)


def _shortfall(checkpoint: HubCheckpoint, groups: tuple[tuple[GpuSnapshot, ...], ...], demand: Demand) -> Shortfall:
    def on(group: tuple[GpuSnapshot, ...]) -> Shortfall:
        tp_size = allowed_tp_sizes(checkpoint, len(group))[-1]
        gpus = roomiest(group, tp_size)
        settings = least_settings(checkpoint, gpus[0], Parallelism(tp_size, pp_size=demand.node_count), demand)
        return Shortfall(
            gpus=gpus,
            needed_bytes_per_gpu=needed_bytes(checkpoint, settings, demand.minimum_tokens),
            free_bytes_per_gpu=_free_bytes(gpus),
        )

    return min((on(group) for group in groups), key=lambda shortfall: shortfall.missing_bytes)


def _free_bytes(gpus: tuple[GpuSnapshot, ...]) -> int:
    return min(plannable_bytes(gpu) for gpu in gpus)
