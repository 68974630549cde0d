"""`sgcx hardware`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from sgcx.cli.options import Json

if TYPE_CHECKING:
    from sgcx.planning.snapshot import HardwareSnapshot


def register(app: typer.Typer) -> None:
    app.command("hardware")(hardware)


def hardware(json: Json = False) -> None:
    """Show what the planner sees of this machine. `sgcx up … --dry-run --hardware FILE` takes the JSON."""
    from sgcx.cli import render
    from sgcx.hardware.detect import detect_hardware
    from sgcx.paths import Paths

    snapshot = detect_hardware(Paths.from_environment().data)
    if json:
        render.print_json(snapshot.to_json())
    else:
        render.print_pairs(_pairs(snapshot))


def _pairs(snapshot: HardwareSnapshot) -> list[tuple[str, str]]:
    from sgcx.cli.render import gib

    pairs = [
        (
            f"GPU {gpu.index}",
            f"{gpu.name}, {gib(gpu.free_bytes)} of {gib(gpu.total_bytes)} free,"
            f" compute capability {gpu.compute_capability[0]}.{gpu.compute_capability[1]}",
        )
        for gpu in snapshot.gpus
    ]
    if snapshot.gpu_note:
        pairs.append(("GPU", snapshot.gpu_note))
    if snapshot.driver_version:
        cuda = ".".join(map(str, snapshot.cuda_driver_version or ())) or "unknown"
        pairs.append(("Driver", f"{snapshot.driver_version}, runs CUDA up to {cuda}"))
    return [
        *pairs,
        ("Processor", f"{snapshot.cpu_model}, {snapshot.physical_cores} cores, {snapshot.logical_cores} threads"),
        ("Memory", f"{gib(snapshot.memory_available_bytes)} of {gib(snapshot.memory_total_bytes)} available"),
        ("Disk", f"{gib(snapshot.disk_free_bytes)} free for sgcx's data"),
        ("System", f"{snapshot.platform}, {snapshot.architecture}"),
    ]
