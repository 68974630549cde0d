"""Doctor's judgement of a machine, from facts about machines that are elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from recorded_machines import recorded_machine

from sgcx.engines.patches import PatchStatus
from sgcx.errors import UserError
from sgcx.hardware.memory_limit import memory_limit_bytes
from sgcx.paths import weights_directory
from sgcx.planning.profile import Profile
from sgcx.profiles import list_profiles
from sgcx.server.environment import EngineState, EngineStatus, find_spec
from sgcx.server.ports import PortOwner
from sgcx.workflows.checks import Check, Status, guarded
from sgcx.workflows.checks_engine import check_engine, check_patches
from sgcx.workflows.checks_machine import (
    check_data_disk,
    check_default_port,
    check_driver,
    check_gpus,
    check_memory,
    check_python,
    check_weights_disk,
)

GIB = 1 << 30
CUDA = find_spec("sglang-0.5.10.post1-cu129")
ABSENT = EngineState(CUDA, EngineStatus.ABSENT, "it is not installed", Path("/data/engine"), 0)


def test_a_new_enough_driver_is_fine_and_an_old_one_fails() -> None:
    assert check_driver(recorded_machine("8xH200")).status is Status.OK
    old = check_driver(recorded_machine("old_driver"))
    assert (old.status, old.why) == (Status.FAIL, "CUDA 12 needs 525.60.13 or later")


def test_gpus_that_others_use_are_a_warning_and_our_own_are_not() -> None:
    machine = recorded_machine("8xH200")
    busy = replace(machine.gpus[1], used_bytes=20 * GIB)
    machine = replace(machine, gpus=(machine.gpus[0], busy))
    assert [check.status for check in check_gpus(machine, frozenset())] == [Status.OK, Status.WARN]
    assert [check.status for check in check_gpus(machine, frozenset({1}))] == [Status.OK, Status.OK]


def test_a_gpu_that_cannot_be_read_is_a_warning() -> None:
    machine = replace(recorded_machine("8xH200"), gpu_note="GPU 8 is left out: lost")
    assert next(iter(check_gpus(machine, frozenset()))).status is Status.WARN


def test_a_disk_must_hold_the_engine_until_it_is_installed() -> None:
    short = check_data_disk(Path("/data"), 10 * GIB, ABSENT)
    assert (short.status, short.why) == (Status.FAIL, f"Installing {CUDA.name} needs 15.0 GiB")
    assert check_data_disk(Path("/data"), 10 * GIB, replace(ABSENT, status=EngineStatus.READY)).status is Status.OK
    assert check_data_disk(Path("/data"), GIB // 2, None).status is Status.FAIL


def test_weights_need_room_only_where_they_are_downloaded() -> None:
    profiles = [entry.profile for entry in list_profiles(Path("/absent")) if isinstance(entry.profile, Profile)]
    place = Path("/cache")
    assert check_weights_disk(place, 10 * GIB, profiles, has_gpus=False).status is Status.SKIP
    assert check_weights_disk(place, 10 * GIB, profiles, has_gpus=True).status is Status.WARN
    assert check_weights_disk(place, 9999 * GIB, profiles, has_gpus=True).found.endswith("any one of 8 of 8 models")


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
    ],
)
def test_weights_lie_where_the_hub_client_keeps_them(environment: dict[str, str], place: str) -> None:
    assert weights_directory(environment) == Path(place)


def test_a_tight_memory_limit_is_a_warning_unless_a_server_has_its_memory_already() -> None:
    machine = recorded_machine("cpu_only")
    assert check_memory(machine, None, server_runs=False).status is Status.OK
    tight = check_memory(machine, GIB, server_runs=False)
    assert tight.status is Status.WARN
    assert "limited to 1.0 GiB by a control group" in tight.found
    assert check_memory(machine, GIB, server_runs=True).status is Status.OK


def test_a_taken_port_names_its_owner() -> None:
    assert check_default_port(30000, None, None).found == "30000 is free"
    assert check_default_port(30000, PortOwner(7), "one").status is Status.OK
    taken = check_default_port(30000, PortOwner(7, "python", "python -m http.server"), None)
    assert (taken.status, taken.found) == (Status.WARN, "30000 is in use by pid 7 (python -m http.server)")
    assert "cannot see" in check_default_port(30000, PortOwner(None), None).found


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 1), Status.FAIL), ((3, 12, 1), Status.OK), ((3, 13, 0), Status.WARN)]
)
def test_python_must_fit_the_engine_that_is_to_be_installed(version: tuple[int, int, int], status: Status) -> None:
    assert check_python(version, has_ensurepip=True, engines=[ABSENT])[0].status is status


def test_python_without_venv_names_the_package() -> None:
    check = check_python((3, 12, 1), has_ensurepip=False, engines=[])[1]
    assert (check.status, check.mend) == (Status.FAIL, "On Debian and Ubuntu: apt install python3.12-venv")


@pytest.mark.parametrize(
    ("status", "judged"),
    [
        (EngineStatus.READY, Status.OK),
        (EngineStatus.ABSENT, Status.SKIP),
        (EngineStatus.INCOMPLETE, Status.WARN),
        (EngineStatus.BROKEN, Status.FAIL),
    ],
)
def test_each_state_of_an_engine_is_judged(status: EngineStatus, judged: Status) -> None:
    assert check_engine(replace(ABSENT, status=status)).status is judged


def test_each_state_of_a_patch_is_judged() -> None:
    fitting = (PatchStatus("a", "applied", None), PatchStatus("b", "not_applied", None))
    conflict = PatchStatus("c", "conflict", "its SHA-256 is another")
    assert [check.status for check in check_patches("engine", fitting)] == [Status.OK]
    assert [check.status for check in check_patches("engine", (*fitting, conflict))] == [Status.FAIL]


def test_a_check_that_raises_is_a_failed_check() -> None:
    def refuse() -> list[Check]:
        raise UserError("The file is bad", hint="Mend it")

    def crash() -> list[Check]:
        raise RuntimeError("boom")

    assert guarded("G", "t", refuse) == (Check("G", "t", Status.FAIL, "The file is bad", mend="Mend it"),)
    (crashed,) = guarded("G", "t", crash)
    assert (crashed.status, crashed.found) == (Status.FAIL, "the check 't' of 'G' itself failed: RuntimeError: boom")


def test_the_memory_limit_is_the_least_above_this_process(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/outer/inner\n")
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    assert memory_limit_bytes(tmp_path, own) is None
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text(f"{8 * GIB}\n")
    assert memory_limit_bytes(tmp_path, own) == 8 * GIB


def test_the_memory_limit_of_a_version_1_control_group(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("5:memory:/job\n4:cpu:/\n")
    (tmp_path / "memory" / "job").mkdir(parents=True)
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "memory" / "job" / "memory.limit_in_bytes").write_text(f"{4 * GIB}\n")
    assert memory_limit_bytes(tmp_path, own) == 4 * GIB
