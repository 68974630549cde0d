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

from sgcx.planning.memory import MIB
from sgcx.planning.snapshot import HardwareSnapshot, parse_snapshot

SOURCE = Path(__file__).parent / "fake_nvml.c"
DETECT = """
import json, sys
from pathlib import Path
from sgcx.hardware.detect import detect_hardware
json.dump(detect_hardware(Path(sys.argv[1])).to_json(), sys.stdout)
"""
NOT_SUPPORTED = 3
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


def test_a_gpu_that_reports_no_memory_is_left_out_with_a_note(nvml: Path, tmp_path: Path) -> None:
    snapshot = detect(tmp_path, nvml, GPUS=2, MEMORY_OF=NOT_SUPPORTED)

    assert [gpu.index for gpu in snapshot.gpus] == [1]
    assert snapshot.gpu_note == "GPU 0 is left out: Not Supported"


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
