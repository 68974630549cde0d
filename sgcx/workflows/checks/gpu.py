"""Doctor on the GPUs: which there are, who uses them, how they are set. Pure functions over a snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from sgcx.byte_sizes import GIB, gib
from sgcx.planning.driver import DRIVER_FLOOR, driver_is_too_old
from sgcx.planning.snapshot import GpuSnapshot, HardwareSnapshot
from sgcx.workflows.checks.check import Check, Status, listed

GPU = "GPU"
_BUSY_BYTES = GIB
"""Less than this is a desktop or a monitoring tool."""
_OLDEST_CAPABILITY = (7, 5)
_NO_GPU_WHY = "Without a GPU the rehearsal works (`sgcx up rehearsal`), and plans for other machines"
_KNOWN_FAULTS: dict[tuple[int, int], str] = {
    (12, 0): "with expert parallelism, or with NVFP4 weights of Kimi, SGLang answers garbage on it",
    (12, 1): "SGLang's INT4 kernels answer garbage on it, and neither Kimi nor R1 fits",
}
"""By compute capability, what is known of SGLang on such a GPU."""


def check_driver(hardware: HardwareSnapshot) -> Check:
    version = hardware.driver_version
    if version is None:
        found = hardware.gpu_note or "no NVIDIA driver"
        return Check(GPU, "driver", Status.WARN, found, _NO_GPU_WHY, "For a real model: a machine with NVIDIA GPUs")
    if driver_is_too_old(version):
        floor = ".".join(map(str, DRIVER_FLOOR))
        return Check(GPU, "driver", Status.FAIL, version, f"CUDA 12 needs {floor} or later", "Update the NVIDIA driver")
    cuda = ".".join(map(str, hardware.cuda_driver_version or ()))
    return Check(GPU, "driver", Status.OK, f"{version}, runs CUDA up to {cuda}" if cuda else version)


def check_gpus(hardware: HardwareSnapshot, ours: frozenset[int]) -> Iterator[Check]:
    """`ours`: indices of the GPUs that sgcx's own servers use."""
    if not hardware.gpus:
        yield Check(GPU, "GPUs", Status.SKIP, "none")
        return
    if hardware.gpu_note:
        mend = "`nvidia-smi` and `dmesg` say more; a GPU that is lost comes back with a restart of the machine"
        yield Check(GPU, "GPUs", Status.WARN, hardware.gpu_note, "Plans leave these GPUs out", mend)
    for gpu in hardware.gpus:
        yield _check_gpu(gpu, used_by_us=gpu.index in ours)


def _check_gpu(gpu: GpuSnapshot, *, used_by_us: bool) -> Check:
    found = f"{gpu.name}, {gib(gpu.free_bytes)} of {gib(gpu.total_bytes)} free"
    if used_by_us:
        return Check(GPU, f"GPU {gpu.index}", Status.OK, f"{found}, used by a server of sgcx")
    if gpu.used_bytes > _BUSY_BYTES and not gpu.shares_host_memory:
        holders = _holders(gpu)
        why = f"Other processes hold {gib(gpu.used_bytes)}; SGLang needs equal room on all GPUs it uses"
        mend = f"End {holders or 'them (`nvidia-smi` names them)'}, or choose other GPUs with --gpus"
        return Check(GPU, f"GPU {gpu.index}", Status.WARN, found, why, mend)
    return Check(GPU, f"GPU {gpu.index}", Status.OK, found)


def _holders(gpu: GpuSnapshot) -> str:
    shown = [f"{process.name or 'a process'} (pid {process.pid})" for process in gpu.processes or ()]
    return ", ".join(shown)


def check_kinds(hardware: HardwareSnapshot) -> Iterator[Check]:
    """GPUs that do not go together, or that no kernel of SGLang is for."""
    if not hardware.gpus:
        return
    yield from _check_capabilities(hardware)
    largest = max(gpu.total_bytes for gpu in hardware.gpus)
    small = [gpu for gpu in hardware.gpus if gpu.total_bytes < largest // 2]
    if small:
        names = ", ".join(f"GPU {gpu.index} ({gpu.name}, {gib(gpu.total_bytes)})" for gpu in small)
        why = "SGLang takes its defaults from the smallest GPU of the machine, used or not; plans set them all instead"
        mend = "Nothing for `sgcx up`. For an SGLang started by hand: set --mem-fraction-static and the sizes yourself"
        yield Check(GPU, "small GPU", Status.WARN, f"much smaller than the others: {names}", why, mend)
    rest = {gpu.name for gpu in hardware.gpus if gpu not in small}
    if len(rest) > 1:
        why = "GPUs that share a model run at the pace, and with the memory, of the weakest"
        mend = "Choose those that are alike with --gpus"
        yield Check(GPU, "kinds", Status.WARN, f"different GPUs: {', '.join(sorted(rest))}", why, mend)


def _check_capabilities(hardware: HardwareSnapshot) -> Iterator[Check]:
    old = [gpu for gpu in hardware.gpus if gpu.compute_capability < _OLDEST_CAPABILITY]
    if old:
        found = f"{listed(gpu.index for gpu in old)}: compute capability {_shown(old[0].compute_capability)}"
        why = f"SGLang's kernels need {_shown(_OLDEST_CAPABILITY)} or later"
        yield Check(GPU, "capability", Status.FAIL, found, why, "Choose newer GPUs with --gpus, or another machine")
    for capability, fault in _KNOWN_FAULTS.items():
        indices = [gpu.index for gpu in hardware.gpus if gpu.compute_capability == capability]
        if indices:
            found = f"{listed(indices)}, compute capability {_shown(capability)}: {fault}"
            yield Check(GPU, "known faults", Status.WARN, found, "Plans leave such combinations out")


def check_modes(hardware: HardwareSnapshot) -> Iterator[Check]:
    """Settings of the driver that stand in the way."""
    cut = [gpu.index for gpu in hardware.gpus if gpu.mig_enabled]
    if cut:
        why = "A program sees one MIG instance at a time, so such GPUs cannot share a model"
        mend = f"sudo nvidia-smi -i {_joined(cut)} -mig 0   (ends what runs on the instances)"
        yield Check(GPU, "MIG", Status.WARN, f"{listed(cut)} are cut into instances", why, mend)
    yield from _check_compute_mode(hardware)
    idle = [gpu.index for gpu in hardware.gpus if gpu.persistence_mode is False and not gpu.drives_display]
    if idle and not hardware.system.is_wsl:
        why = "The driver unloads when nobody uses the GPU, and each start waits seconds for it"
        mend = f"sudo nvidia-smi -i {_joined(idle)} -pm 1"
        yield Check(GPU, "persistence", Status.WARN, f"off on {listed(idle)}", why, mend)


def _check_compute_mode(hardware: HardwareSnapshot) -> Iterator[Check]:
    for mode, status, why in (
        ("prohibited", Status.FAIL, "No program may compute there"),
        ("exclusive_process", Status.WARN, "One process at a time: GPUs cannot reach each other's memory"),
        ("exclusive_thread", Status.WARN, "One thread at a time: GPUs cannot reach each other's memory"),
    ):
        indices = [gpu.index for gpu in hardware.gpus if gpu.compute_mode == mode]
        if indices:
            found = f"{listed(indices)}: {mode}"
            yield Check(GPU, "compute mode", status, found, why, f"sudo nvidia-smi -i {_joined(indices)} -c 0")


def check_fabric(hardware: HardwareSnapshot) -> Iterator[Check]:
    """Machines with NVSwitch: their GPUs do not start before the fabric manager has joined them."""
    waiting = [gpu.index for gpu in hardware.gpus if gpu.fabric_state in ("not_started", "in_progress")]
    if waiting or (hardware.gpus and hardware.system.fabric_manager == "inactive"):
        found = f"{listed(waiting)} wait for the NVLink fabric" if waiting else "the fabric manager does not run"
        why = "CUDA fails with error 802 (system not yet initialized) until it has joined the GPUs"
        mend = "sudo systemctl enable --now nvidia-fabricmanager   (its version must be the driver's)"
        yield Check(GPU, "fabric", Status.FAIL, found, why, mend)


def _shown(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


def _joined(indices: list[int]) -> str:
    return ",".join(map(str, indices))
