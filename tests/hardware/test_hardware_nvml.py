"""Detection through the real `pynvml`, which loads a stand-in for the driver's library compiled here.

Each case runs in a process of its own: where the library is looked for is settled when a process starts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sgcx.byte_sizes import MIB
from sgcx.planning.gpu_facts import GpuClocks, GpuHealth, GpuLink, GpuPower, GpuProcess, PcieLink
from sgcx.planning.snapshot import HardwareSnapshot, Missing, parse_snapshot

SOURCE = Path(__file__).parent / "fake_nvml.c"
DETECT = """
import json, sys
from pathlib import Path
from sgcx.hardware.detect import detect_hardware
json.dump(detect_hardware(Path(sys.argv[1])).to_json(), sys.stdout)
"""
NOT_SUPPORTED = 3
GPU_IS_LOST = 15
DRIVER_NOT_LOADED = 9
LIB_RM_VERSION_MISMATCH = 18

Compile = Callable[..., Path]


@pytest.fixture(scope="module")
def compile_nvml(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.fail("a C compiler is missing: the stand-in for NVML is compiled")

    def build(*options: str) -> Path:
        directory = tmp_path_factory.mktemp("nvml")
        library = directory / "libnvidia-ml.so.1"
        subprocess.run(
            [compiler, "-Wall", "-Werror", "-shared", "-fPIC", *options, "-o", str(library), str(SOURCE)],
            check=True,
            timeout=60,
        )
        return directory

    return build


@pytest.fixture(scope="module")
def nvml(compile_nvml: Compile) -> Path:
    return compile_nvml()


def detect(disk_path: Path, library_directory: Path | None, **settings: int) -> HardwareSnapshot:
    environment = {**os.environ, **{f"FAKE_NVML_{name}": str(value) for name, value in settings.items()}}
    if library_directory is not None:
        environment["LD_LIBRARY_PATH"] = str(library_directory)
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", DETECT, str(disk_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return parse_snapshot(json.loads(answer.stdout))


def test_gpus_are_measured_with_the_drivers_share_kept_apart(nvml: Path, tmp_path: Path) -> None:
    snapshot = detect(tmp_path, nvml, GPUS=2)

    assert [gpu.index for gpu in snapshot.gpus] == [0, 1]
    assert [gpu.uuid for gpu in snapshot.gpus] == ["GPU-0-fake", "GPU-1-fake"]
    gpu = snapshot.gpus[0]
    assert gpu.name == "NVIDIA GeForce RTX 4090"
    assert (gpu.total_bytes, gpu.reserved_bytes, gpu.used_bytes) == (24564 * MIB, 467 * MIB, 533 * MIB)
    assert gpu.compute_capability == (8, 9)
    assert snapshot.gpu_note is None
    assert snapshot.driver_version == "570.133.07"
    assert snapshot.cuda_driver_version == (12, 8)


def test_an_old_driver_without_the_second_memory_query_is_measured_too(compile_nvml: Compile, tmp_path: Path) -> None:
    gpu = detect(tmp_path, compile_nvml("-DNO_MEMORY_V2"), GPUS=1).gpus[0]

    assert (gpu.total_bytes, gpu.reserved_bytes, gpu.used_bytes) == (24564 * MIB, 0, 1000 * MIB)


def test_a_gpu_without_memory_of_its_own_uses_the_machines(nvml: Path, tmp_path: Path) -> None:
    snapshot = detect(tmp_path, nvml, GPUS=2, MEMORY_OF=NOT_SUPPORTED)

    assert [gpu.shares_host_memory for gpu in snapshot.gpus] == [True, False]
    assert snapshot.gpus[0].total_bytes == snapshot.memory_total_bytes
    assert Missing("gpus[0].total_bytes", "Not Supported") in snapshot.missing


def test_a_gpu_whose_memory_cannot_be_read_is_left_out_with_a_note(nvml: Path, tmp_path: Path) -> None:
    snapshot = detect(tmp_path, nvml, GPUS=2, MEMORY_OF=GPU_IS_LOST)

    assert [gpu.index for gpu in snapshot.gpus] == [1]
    assert snapshot.gpu_note == "GPU 0 is left out: GPU is lost"


def test_everything_else_about_a_gpu_is_measured(nvml: Path, tmp_path: Path) -> None:
    gpu = detect(tmp_path, nvml, GPUS=1).gpus[0]

    assert gpu.pci_bus_id == "00000000:01:00.0"
    assert gpu.pcie == PcieLink(generation=1, width=8, max_generation=4, max_width=16)
    assert gpu.power == GpuPower(draw_watts=61.5, limit_watts=300, default_limit_watts=450, max_limit_watts=600)
    assert gpu.clocks == GpuClocks(sm_mhz=210, max_sm_mhz=3105, memory_mhz=405, max_memory_mhz=10501)
    assert gpu.health == GpuHealth(
        temperature_celsius=43,
        slowdown_celsius=97,
        throttle_reasons=("sw_power_cap", "hw_thermal_slowdown"),
        ecc_enabled=True,
        ecc_corrected=12,
        ecc_uncorrected=3,
        row_remapping_pending=True,
        row_remapping_failed=False,
    )
    assert (gpu.compute_mode, gpu.persistence_mode, gpu.drives_display) == ("exclusive_process", False, True)
    assert (gpu.mig_enabled, gpu.fabric_state) == (False, "completed")


def test_who_holds_memory_is_named_and_who_cannot_be_seen_is_counted(nvml: Path, tmp_path: Path) -> None:
    processes = detect(tmp_path, nvml, GPUS=1).gpus[0].processes

    assert processes is not None
    (ours, hidden) = processes
    assert ours.name is not None
    assert ours.name.startswith("python")
    assert ours.used_bytes == 533 * MIB
    assert hidden == GpuProcess(4_000_000_000, name=None, used_bytes=None)


def test_the_instances_of_a_gpu_that_is_cut_are_listed(nvml: Path, tmp_path: Path) -> None:
    gpu = detect(tmp_path, nvml, GPUS=1, MIG=1).gpus[0]

    assert gpu.mig_enabled
    assert [instance.total_bytes for instance in gpu.mig_instances] == [24564 * MIB, 24564 * MIB]
    assert gpu.mig_instances[0].name == "NVIDIA A100-SXM4-80GB MIG 3g.40gb"


def test_a_query_that_the_driver_refuses_costs_that_field_only(nvml: Path, tmp_path: Path) -> None:
    snapshot = detect(tmp_path, nvml, GPUS=2, DETAILS=NOT_SUPPORTED)

    gpu = snapshot.gpus[0]
    assert gpu.name == "NVIDIA GeForce RTX 4090"
    assert (gpu.pcie, gpu.power, gpu.clocks, gpu.health) == (PcieLink(), GpuPower(), GpuClocks(), GpuHealth())
    assert (gpu.processes, gpu.mig_enabled, gpu.fabric_state, snapshot.gpu_links) == (None, None, None, ())
    reasons = {missing.field: missing.reason for missing in snapshot.missing}
    assert reasons["gpus[1].power.limit_watts"] == "Not Supported"
    assert reasons["gpu_links[0,1]"] == "Not Supported"


def test_gpus_without_nvlink_meet_over_pcie(nvml: Path, tmp_path: Path) -> None:
    snapshot = detect(tmp_path, nvml, GPUS=3)

    assert snapshot.gpu_links == (
        GpuLink(0, 1, "host_bridge", peer_access="chipset_not_supported"),
        GpuLink(0, 2, "system", peer_access="chipset_not_supported"),
        GpuLink(1, 2, "system", peer_access="chipset_not_supported"),
    )


def test_through_a_switch_all_gpus_are_joined(nvml: Path, tmp_path: Path) -> None:
    snapshot = detect(tmp_path, nvml, GPUS=4, NVLINKS=18)

    assert {(link.kind, link.nvlink_count, link.peer_access) for link in snapshot.gpu_links} == {("nvlink", 18, "ok")}
    assert snapshot.all_linked_by_nvlink(range(4))


def test_a_bridge_joins_two_gpus_and_no_more(nvml: Path, tmp_path: Path) -> None:
    snapshot = detect(tmp_path, nvml, GPUS=4, NVLINKS=4, BRIDGE=1)

    joined = [(link.first, link.second) for link in snapshot.gpu_links if link.kind == "nvlink"]
    assert joined == [(0, 1), (2, 3)]
    assert not snapshot.all_linked_by_nvlink(range(4))


def test_a_gpu_that_reports_no_uuid_is_still_measured(nvml: Path, tmp_path: Path) -> None:
    assert detect(tmp_path, nvml, GPUS=1, UUID=NOT_SUPPORTED).gpus[0].uuid == "GPU-0"


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ({"GPUS": 0}, "the NVIDIA driver is loaded but reports no GPU"),
        ({"INIT": DRIVER_NOT_LOADED}, "the NVIDIA driver is installed but not loaded"),
        ({"INIT": LIB_RM_VERSION_MISMATCH}, "the NVIDIA driver was updated while loaded: restart the machine"),
    ],
)
def test_a_driver_without_a_usable_gpu_says_why(
    nvml: Path, tmp_path: Path, settings: dict[str, int], note: str
) -> None:
    snapshot = detect(tmp_path, nvml, **settings)

    assert snapshot.gpus == ()
    assert snapshot.gpu_note == note


def test_the_rest_of_the_machine_is_measured_without_a_gpu(nvml: Path, tmp_path: Path) -> None:
    snapshot = detect(tmp_path / "not" / "made" / "yet", nvml, GPUS=0)

    assert snapshot.platform == "linux"
    assert snapshot.architecture
    assert snapshot.cpu_model
    assert 1 <= snapshot.physical_cores <= snapshot.logical_cores
    assert 0 < snapshot.memory_available_bytes <= snapshot.memory_total_bytes
    assert snapshot.disk_free_bytes > 0
