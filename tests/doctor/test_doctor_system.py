"""Doctor on the operating system and the Python that runs sgcx."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from recorded_machines import recorded_machine

from sgcx.environments.engine_specs import find_spec
from sgcx.environments.environment import EngineState, EngineStatus
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.workflows.checks.check import Check, FixKind, Status
from sgcx.workflows.checks.python import check_python
from sgcx.workflows.checks.system import (
    BuildTools,
    check_build_tools,
    check_clock,
    check_kernel_caches,
    check_numa_library,
    check_platform,
)

CUDA = find_spec("sglang-0.5.10.post1-cu129")
ABSENT = EngineState(CUDA, EngineStatus.ABSENT, "it is not installed", Path("/data/engine"), 0)


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 1), Status.FAIL), ((3, 12, 1), Status.OK), ((3, 13, 0), Status.WARN)]
)
def test_python_must_fit_the_engine_that_is_to_be_installed(version: tuple[int, int, int], status: Status) -> None:
    assert check_python(version, has_ensurepip=True, engines=[ABSENT])[0].status is status


def test_python_without_venv_names_the_package() -> None:
    check = check_python((3, 12, 1), has_ensurepip=False, engines=[])[1]
    assert (check.status, check.mend) == (Status.FAIL, "On Debian and Ubuntu: apt install python3.12-venv")


def platform(machine: HardwareSnapshot) -> dict[str, Check]:
    return {check.title: check for check in check_platform(machine)}


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [
        ("8xH200", Status.OK, "Ubuntu 22.04"),
        ("WSL_RTX_4090", Status.WARN, "under Windows"),
        ("1xGH200", Status.WARN, "aarch64"),
    ],
)
def test_platforms_are_told_apart(name: str, status: Status, word: str) -> None:
    check = platform(recorded_machine(name))["platform"]
    assert check.status is status
    assert word in check.found


def test_another_system_than_linux_fails() -> None:
    assert platform(replace(recorded_machine("cpu_only"), platform="darwin"))["platform"].status is Status.FAIL


def test_an_old_glibc_fails() -> None:
    machine = recorded_machine("8xA100")
    old = replace(machine, system=replace(machine.system, glibc="2.17"))
    assert platform(old)["glibc"].status is Status.FAIL
    assert "glibc" not in platform(machine)


def test_libraries_and_compilers_matter_where_there_are_gpus() -> None:
    assert check_numa_library("libnuma.so.1", has_gpus=True).status is Status.OK
    assert check_numa_library(None, has_gpus=True).status is Status.FAIL
    assert check_numa_library(None, has_gpus=False).status is Status.SKIP
    assert check_build_tools(BuildTools("/usr/bin/nvcc", "/usr/bin/c++"), has_gpus=True).status is Status.OK
    absent = check_build_tools(BuildTools(None, "/usr/bin/c++"), has_gpus=True)
    assert (absent.status, absent.found) == (Status.WARN, "no nvcc")
    assert check_build_tools(BuildTools(None, None), has_gpus=False).found.startswith("no nvcc and no c++")


def test_a_cache_that_cannot_be_written_gets_the_command() -> None:
    (closed,) = check_kernel_caches({Path("/a"): True, Path("/b"): False}, has_gpus=True)
    assert (closed.status, closed.mend) == (Status.WARN, "sudo chown -R $USER /b")
    (made,) = check_kernel_caches({Path("/a"): True, Path("/b"): None}, has_gpus=True)
    assert made.fix is not None
    assert (made.status, made.fix.kind, made.fix.target) == (Status.OK, FixKind.MAKE_CACHE_FOLDER, "/b")
    assert [*check_kernel_caches({Path("/b"): False}, has_gpus=False)] == []


@pytest.mark.parametrize(
    ("skew_s", "status", "found"),
    [
        (None, Status.SKIP, "nothing to compare it with: the model hub was not asked"),
        (-12.0, Status.OK, "agrees with the model hub's"),
        (900.0, Status.WARN, "900 s ahead of the model hub's"),
        (-900.0, Status.WARN, "900 s behind the model hub's"),
    ],
)
def test_a_clock_that_is_wrong_is_told(skew_s: float | None, status: Status, found: str) -> None:
    check = check_clock(skew_s)
    assert (check.status, check.found) == (status, found)
