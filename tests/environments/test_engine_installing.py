"""The parts of an installation that need no virtual environment: locks, pip's words, the overlay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sgcx.environments.engine_specs import EngineDirectory, EngineSpec, find_spec, list_specs
from sgcx.environments.install_progress import InstallProgress, PipOutputReader
from sgcx.environments.overlay import RUNNING_SGCX, engine_environment, write_overlay
from sgcx.environments.package_lock import read_lock
from sgcx.environments.pip_runner import explain_failure
from sgcx.errors import LaunchFailed, UserError


@pytest.mark.parametrize("spec", list_specs(), ids=lambda spec: spec.name)
def test_every_lock_pins_its_sglang_and_the_hash_of_everything(spec: EngineSpec) -> None:
    lock = read_lock(spec.lock)
    versions = {package.name: package.version for package in lock}
    assert versions["sglang"] == spec.sglang_version
    assert "pip" in versions
    assert len(versions) == len(lock)
    unhashed = {package.name for package in lock if not package.hashes}
    assert unhashed == ({"torch", "torchvision"} if spec.accelerator == "cpu" else set())


@pytest.mark.parametrize("name", ["starlette", "orjson", "httpx", "aiohttp", "packaging", "psutil", "uvicorn"])
def test_the_engine_has_what_the_child_imports(name: str) -> None:
    for spec in list_specs():
        assert name in {package.name for package in read_lock(spec.lock)}


def test_an_unknown_engine_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError) as refusal:
        find_spec("sglang-9-abacus")
    assert refusal.value.hint is not None
    assert "sglang-0.5.10.post1-cpu" in refusal.value.hint


@pytest.mark.parametrize("line", ["tiny>=1.0", "tiny", "tiny==1.0 --editable", "=="])
def test_a_line_that_is_no_exact_pin_is_refused(tmp_path: Path, line: str) -> None:
    lock = tmp_path / "bad.txt"
    lock.write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"bad\.txt"):
        read_lock(lock)


def test_pips_output_becomes_progress() -> None:
    reader = PipOutputReader(packages_before=2, packages_total=4)
    lines = [
        "Collecting torch==2.13.0 (from -r requirements.txt (line 1))",
        "  Downloading torch-2.13.0-cp311-manylinux_2_28_x86_64.whl (192.0 MB)",
        "Progress 0 of 1000",
        "Progress 1000 of 1000",
        "Progress 1000 of 1000",
        "Requirement already satisfied: nothing",
        "Installing collected packages: torch, triton",
    ]
    seen = [progress for line in lines if (progress := reader.feed(line)) is not None]
    wheel = "torch-2.13.0-cp311-manylinux_2_28_x86_64.whl"
    assert seen == [
        InstallProgress("download", 3, 4, "torch==2.13.0"),
        InstallProgress("download", 3, 4, wheel),
        InstallProgress("download", 3, 4, wheel, 0, 1000),
        InstallProgress("download", 3, 4, wheel, 1000, 1000),
        InstallProgress("install", 2, 4, "unpacking"),
    ]
    assert reader.installed(3) == InstallProgress("install", 3, 4, "unpacking")
    assert reader.installed(3) is None
    assert reader.installed(5) == InstallProgress("install", 4, 4, "unpacking")


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("ERROR: Could not install packages: [Errno 28] No space left on device", UserError, "became full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", UserError, "not the file"),
        ("NewConnectionError('Failed to establish a new connection')", UserError, "could not reach"),
        ("ERROR: No matching distribution found for torch==2.13.0", UserError, "no torch==2.13.0"),
        ("Killed", LaunchFailed, "exit status 9"),
    ],
)
def test_pips_failures_are_said_in_a_sentence(
    tmp_path: Path, line: str, kind: type[UserError | LaunchFailed], message: str
) -> None:
    failure = explain_failure(EngineDirectory(tmp_path), (line,), 9)
    assert isinstance(failure, kind)
    assert message in failure.message
    assert failure.hint is not None


def test_the_overlay_gives_a_bare_python_this_sgcx_and_not_its_neighbours(tmp_path: Path) -> None:
    overlay = write_overlay(tmp_path, RUNNING_SGCX, "cpu")
    program = "import sgcx.errors, sys, sgl_kernel.kvcacheio; print(sgcx.__path__[0]); import typer"
    result = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env=engine_environment("cpu", overlay),
        capture_output=True,
        text=True,
    )
    assert result.stdout == f"{overlay / 'sgcx'}\n"
    assert "No module named 'typer'" in result.stderr


def test_an_overlay_is_kept_while_right_and_made_again_when_damaged(tmp_path: Path) -> None:
    overlay = write_overlay(tmp_path, RUNNING_SGCX, "cpu")
    before = overlay.stat().st_ino
    assert write_overlay(tmp_path, RUNNING_SGCX, "cpu") == overlay
    assert overlay.stat().st_ino == before
    (overlay / "torchvision").unlink()
    write_overlay(tmp_path, RUNNING_SGCX, "cpu")
    assert (overlay / "torchvision").is_symlink()
    assert [entry.name for entry in overlay.parent.iterdir()] == [overlay.name]


def test_two_sgcx_and_two_accelerators_have_overlays_of_their_own(tmp_path: Path) -> None:
    cpu = write_overlay(tmp_path, RUNNING_SGCX, "cpu")
    cuda = write_overlay(tmp_path, RUNNING_SGCX, "cuda")
    other = write_overlay(tmp_path, tmp_path / "sgcx", "cpu")
    assert len({cpu, cuda, other}) == 3
    assert {entry.name for entry in cuda.iterdir()} == {"sgcx", "sgcx-0.dist-info"}
