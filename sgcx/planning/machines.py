"""Machines that people rent or build, to say what a refused profile would fit on."""

from __future__ import annotations

from sgcx.byte_sizes import MIB
from sgcx.planning.snapshot import GpuSnapshot

_DRIVER_RESERVE = 640 * MIB
_KINDS: tuple[tuple[str, int, tuple[int, int]], ...] = (
    # Name, memory in MiB as the driver reports it, compute capability.
    ("RTX 4090", 24_564, (8, 9)),
    ("L40S", 46_068, (8, 9)),
    ("H100", 81_559, (9, 0)),
    ("RTX PRO 6000", 97_887, (12, 0)),
    ("H200", 143_771, (9, 0)),
    ("B200", 183_359, (10, 0)),
    ("B300", 275_040, (10, 3)),
)
_COUNTS = (1, 2, 4, 8)


def known_machines() -> tuple[tuple[str, tuple[GpuSnapshot, ...]], ...]:
    """A label and idle GPUs, the least memory first."""
    machines = [
        (f"{count}× {name}", tuple(_gpu(index, name, mebibytes, capability) for index in range(count)))
        for name, mebibytes, capability in _KINDS
        for count in _COUNTS
    ]
    return tuple(sorted(machines, key=lambda machine: sum(gpu.total_bytes for gpu in machine[1])))


def _gpu(index: int, name: str, mebibytes: int, capability: tuple[int, int]) -> GpuSnapshot:
    return GpuSnapshot(
        index=index,
        name=name,
        uuid=f"GPU-{index}",
        total_bytes=mebibytes * MIB,
        reserved_bytes=_DRIVER_RESERVE,
        used_bytes=0,
        compute_capability=capability,
    )
