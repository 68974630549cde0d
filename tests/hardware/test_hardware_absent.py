"""A machine without NVIDIA's library is a machine without GPUs, not an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pynvml
import pytest

from sgcx.hardware.detect import detect_hardware


def test_a_missing_library_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", not_found)
    snapshot = detect_hardware(tmp_path)

    assert snapshot.gpus == ()
    assert snapshot.gpu_note == "no NVIDIA driver: libnvidia-ml.so.1 was not found"
    assert snapshot.driver_version is None


def test_importing_the_detection_loads_neither_pynvml_nor_psutil() -> None:
    code = "import sys, sgcx.hardware.detect; sys.exit(any(name in sys.modules for name in ('pynvml', 'psutil')))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
