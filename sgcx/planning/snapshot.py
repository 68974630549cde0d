"""What a machine has, measured once: the planner's only view of the hardware.

A snapshot survives a round trip through JSON, so a plan can be made for a machine that is elsewhere.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sgcx.planning.fields import Fields


@dataclass(frozen=True, slots=True)
class GpuSnapshot:
    index: int
    """NVML's index, which is PCI bus order."""
    name: str
    uuid: str
    total_bytes: int
    reserved_bytes: int
    """Held back by the driver: part of `total_bytes`, of use to nobody."""
    used_bytes: int
    """Taken by other processes."""
    compute_capability: tuple[int, int]

    @property
    def free_bytes(self) -> int:
        return max(0, self.total_bytes - self.reserved_bytes - self.used_bytes)


@dataclass(frozen=True, slots=True)
class HardwareSnapshot:
    gpus: tuple[GpuSnapshot, ...]
    gpu_note: str | None
    """Why `gpus` is empty or incomplete; None when nothing is amiss."""
    driver_version: str | None
    cuda_driver_version: tuple[int, int] | None
    """The newest CUDA that the driver runs."""
    cpu_model: str
    physical_cores: int
    logical_cores: int
    memory_total_bytes: int
    memory_available_bytes: int
    disk_free_bytes: int
    """Free where sgcx keeps its data."""
    platform: str
    architecture: str

    def to_json(self) -> dict[str, object]:
        table: dict[str, object] = asdict(self)
        table["gpus"] = [{**asdict(gpu), "compute_capability": list(gpu.compute_capability)} for gpu in self.gpus]
        if self.cuda_driver_version is not None:
            table["cuda_driver_version"] = list(self.cuda_driver_version)
        return table


def parse_snapshot(value: object, *, origin: str = "hardware snapshot") -> HardwareSnapshot:
    """The inverse of `to_json`; `origin` is the file name that errors show."""
    fields = Fields.of(value, origin)
    snapshot = HardwareSnapshot(
        gpus=tuple(_parse_gpu(gpu) for gpu in fields.tables("gpus")),
        gpu_note=fields.text_or_none("gpu_note"),
        driver_version=fields.text_or_none("driver_version"),
        cuda_driver_version=(fields.number_pair("cuda_driver_version") if fields.has("cuda_driver_version") else None),
        cpu_model=fields.text("cpu_model"),
        physical_cores=fields.whole_number("physical_cores", at_least=1),
        logical_cores=fields.whole_number("logical_cores", at_least=1),
        memory_total_bytes=fields.whole_number("memory_total_bytes"),
        memory_available_bytes=fields.whole_number("memory_available_bytes"),
        disk_free_bytes=fields.whole_number("disk_free_bytes"),
        platform=fields.text("platform"),
        architecture=fields.text("architecture"),
    )
    fields.finish()
    return snapshot


def _parse_gpu(fields: Fields) -> GpuSnapshot:
    gpu = GpuSnapshot(
        index=fields.whole_number("index"),
        name=fields.text("name"),
        uuid=fields.text("uuid"),
        total_bytes=fields.whole_number("total_bytes", at_least=1),
        reserved_bytes=fields.whole_number("reserved_bytes"),
        used_bytes=fields.whole_number("used_bytes"),
        compute_capability=fields.number_pair("compute_capability"),
    )
    fields.finish()
    return gpu
