"""Which GPUs of a machine a plan may use, and why the others stay out."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.byte_sizes import GIB, gib
from sgcx.planning.profile import HubCheckpoint
from sgcx.planning.snapshot import GpuSnapshot, HardwareSnapshot


@dataclass(frozen=True, slots=True)
class ExcludedGpu:
    index: int
    name: str
    because: str


def usable_gpus(
    hardware: HardwareSnapshot, checkpoint: HubCheckpoint, wanted: tuple[int, ...] | None
) -> tuple[tuple[GpuSnapshot, ...], tuple[ExcludedGpu, ...]]:
    """Those that could compute with these weights, and the others with their reasons."""
    usable: list[GpuSnapshot] = []
    excluded: list[ExcludedGpu] = []
    for gpu in hardware.gpus:
        because = _obstacle(gpu, checkpoint, wanted)
        if because is None:
            usable.append(gpu)
        else:
            excluded.append(ExcludedGpu(gpu.index, gpu.name, because))
    return tuple(usable), tuple(excluded)


def left_over(usable: tuple[GpuSnapshot, ...], chosen: tuple[GpuSnapshot, ...]) -> tuple[ExcludedGpu, ...]:
    """GPUs that could serve and do not."""
    return tuple(
        ExcludedGpu(gpu.index, gpu.name, _because_left_over(gpu, chosen[0])) for gpu in usable if gpu not in chosen
    )


def _obstacle(gpu: GpuSnapshot, checkpoint: HubCheckpoint, wanted: tuple[int, ...] | None) -> str | None:
    if wanted is not None and gpu.index not in wanted:
        return "not among the GPUs asked for"
    if gpu.mig_enabled:
        return "divided into MIG slices, which cannot work together on one model"
    if gpu.compute_mode == "prohibited":
        return "its compute mode allows no process"
    if gpu.compute_capability < checkpoint.minimum_compute_capability:
        return f"compute capability {_dotted(gpu)}, {checkpoint.quantization} weights need {_needed(checkpoint)}"
    gaps = {gap.compute_capability: gap.because for gap in checkpoint.gaps}
    return gaps.get(gpu.compute_capability)


def _because_left_over(gpu: GpuSnapshot, chosen: GpuSnapshot) -> str:
    if (gpu.name, gpu.total_bytes // GIB) != (chosen.name, chosen.total_bytes // GIB):
        display = "drives a display, and " if gpu.drives_display else ""
        return f"{display}GPUs that share a model must be alike"
    if gpu.used_bytes > GIB:
        return f"{gib(gpu.used_bytes)} are used by {users_of(gpu)}"
    return "the model does not need it"


def users_of(gpu: GpuSnapshot) -> str:
    names = sorted({process.name for process in gpu.processes or () if process.name is not None})
    return ", ".join(names) or "other processes"


def _dotted(gpu: GpuSnapshot) -> str:
    return ".".join(map(str, gpu.compute_capability))


def _needed(checkpoint: HubCheckpoint) -> str:
    return ".".join(map(str, checkpoint.minimum_compute_capability))
