"""A refusal: what is missing, and what would do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sgcx.byte_sizes import GIB, gib
from sgcx.planning.layout import Demand, Layout, Shortfall, choose_layout, plannable_bytes
from sgcx.planning.plan import Refusal
from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.planning.selection import ExcludedGpu, usable_gpus, users_of
from sgcx.planning.snapshot import HardwareSnapshot

_NODES = 2
_FEWEST_GPUS_OF_A_NODE = 4
"""Smaller machines are not worth joining by a network."""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """`shortfall` is None where memory is not the reason; `mend` is what would let this machine serve the model."""

    reason: str
    mend: str = ""
    needed_bytes: int = 0
    shortfall: Shortfall | None = None
    checkpoint: HubCheckpoint | None = None

    @classmethod
    def for_memory(
        cls, shortfall: Shortfall, checkpoint: HubCheckpoint, excluded: tuple[ExcludedGpu, ...]
    ) -> Reasoning:
        """Other reasons than memory that keep GPUs out belong to it: with them it might be enough."""
        needed = shortfall.needed_bytes_per_gpu * len(shortfall.gpus)
        left_out = "".join(f"; GPU {gpu.index} is left out: {gpu.because}" for gpu in excluded)
        return cls(left_out, _ending_others(shortfall), needed, shortfall, checkpoint)


def refuse(
    hardware: HardwareSnapshot,
    profile: Profile,
    reasoning: Reasoning,
    demand: Demand,
    *,
    nearest: tuple[str, ...],
    machines: tuple[str, ...],
) -> Refusal:
    shortfall = reasoning.shortfall
    absent = f"; {hardware.gpu_note}" if hardware.gpus and hardware.gpu_note else ""
    available = 0 if shortfall is None else shortfall.free_bytes_per_gpu * len(shortfall.gpus)
    return Refusal(
        profile=profile,
        reason=("" if shortfall is None else _for_memory(reasoning, shortfall, demand)) + reasoning.reason + absent,
        mend=reasoning.mend,
        needed_bytes=reasoning.needed_bytes,
        available_bytes=available,
        missing_bytes=max(0, reasoning.needed_bytes - available),
        nearest=nearest,
        machines=machines,
        node_count=None if shortfall is None else _nodes_that_fit(hardware, profile, demand),
    )


def _for_memory(reasoning: Reasoning, shortfall: Shortfall, demand: Demand) -> str:
    count = len(shortfall.gpus)
    each = "on one GPU" if count == 1 else f"on each of {count} GPUs"
    variant = "" if reasoning.checkpoint is None else f" ({reasoning.checkpoint.variant})"
    return (
        f"for a context of {demand.minimum_context_length:,} tokens it{variant} needs "
        f"{gib(shortfall.needed_bytes_per_gpu)} {each} ({shortfall.gpus[0].name}), "
        f"{gib(shortfall.free_bytes_per_gpu)} are free: {gib(shortfall.missing_bytes)} missing in all"
    )


def _ending_others(shortfall: Shortfall) -> str:
    """Nothing where that would not be enough."""
    busy = [gpu for gpu in shortfall.gpus if gpu.used_bytes > GIB and not gpu.shares_host_memory]
    idle_bytes = min(plannable_bytes(replace(gpu, used_bytes=0)) for gpu in shortfall.gpus)
    if not busy or idle_bytes < shortfall.needed_bytes_per_gpu:
        return ""
    used = ", ".join(f"{gib(gpu.used_bytes)} of GPU {gpu.index} by {users_of(gpu)}" for gpu in busy)
    return f"It fits once these are free: {used}"


def _nodes_that_fit(hardware: HardwareSnapshot, profile: Profile, demand: Demand) -> int | None:
    if demand.node_count > 1 or len(hardware.gpus) < _FEWEST_GPUS_OF_A_NODE:
        return None
    together = replace(demand, node_count=_NODES, nodes_have_rdma=True, dp_size=1)
    for checkpoint in profile.variants:
        usable, _ = usable_gpus(hardware, checkpoint, None)
        if usable and isinstance(choose_layout(checkpoint, usable, together), Layout):
            return _NODES
    return None
