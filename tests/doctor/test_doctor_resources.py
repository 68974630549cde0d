"""Doctor on disks, memory, limits and the port."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from recorded_machines import recorded_machine

from sgcx.environments.engine_specs import find_spec
from sgcx.environments.environment import EngineState, EngineStatus
from sgcx.paths import weights_directory
from sgcx.planning.host_facts import FileSystem, MemoryFacts
from sgcx.planning.profile import Profile
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.profiles import list_profiles
from sgcx.server.ports import PortOwner
from sgcx.workflows.checks.check import Check, Status
from sgcx.workflows.checks.resources import (
    check_data_disk,
    check_default_port,
    check_file_systems,
    check_limits,
    check_memory,
    check_shared_memory,
    check_weights_disk,
)

GIB = 1 << 30
CUDA = find_spec("sglang-0.5.10.post1-cu129")
ABSENT = EngineState(CUDA, EngineStatus.ABSENT, "it is not installed", Path("/data/engine"), 0)


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


def test_a_taken_port_names_its_owner() -> None:
    assert check_default_port(30000, None, None).found == "30000 is free"
    assert check_default_port(30000, PortOwner(7), "one").status is Status.OK
    taken = check_default_port(30000, PortOwner(7, "python", "python -m http.server"), None)
    assert (taken.status, taken.found) == (Status.WARN, "30000 is in use by pid 7 (python -m http.server)")
    assert "cannot see" in check_default_port(30000, PortOwner(None), None).found


def test_a_tight_memory_limit_is_a_warning_unless_a_server_has_its_memory_already() -> None:
    machine = recorded_machine("cpu_only")
    assert check_memory(machine, server_runs=False).status is Status.OK
    limited = replace(machine, memory=MemoryFacts(limit_bytes=GIB))
    tight = check_memory(limited, server_runs=False)
    assert tight.status is Status.WARN
    assert "limited to 1.0 GiB by a control group" in tight.found
    assert check_memory(limited, server_runs=True).status is Status.OK


@pytest.mark.parametrize(
    ("shared_bytes", "container", "status", "mend"),
    [
        (64 * GIB, None, Status.OK, None),
        (8 * GIB, None, Status.WARN, "sudo mount -o remount,size=32G /dev/shm"),
        (64 << 20, "docker", Status.FAIL, "Start the container with --shm-size 32g, or with --ipc=host"),
    ],
)
def test_gpus_that_share_a_model_need_shared_memory(
    shared_bytes: int, container: str | None, status: Status, mend: str | None
) -> None:
    machine = recorded_machine("8xH200")
    shared = FileSystem("shared_memory", "tmpfs", shared_bytes, shared_bytes)
    system = replace(machine.system, container=container)  # type: ignore[arg-type]
    check = check_shared_memory(replace(machine, file_systems=(shared,), system=system))
    assert (check.status, check.mend) == (status, mend)


def test_shared_memory_matters_to_several_gpus_only() -> None:
    assert check_shared_memory(recorded_machine("container_with_32GB")).status is Status.SKIP
    assert check_shared_memory(replace(recorded_machine("8xH200"), file_systems=())).status is Status.WARN


def test_weights_on_a_network_share_are_told() -> None:
    (check,) = check_file_systems(recorded_machine("8xH200_weights_on_NFS"))
    assert (check.title, check.status, check.found) == ("loading", Status.WARN, "weights come over nfs4")
    assert [*check_file_systems(recorded_machine("8xH200"))] == []


def test_weights_on_a_rotating_disk_are_told() -> None:
    check = only_file_system(FileSystem("weights", "ext4", 9 * GIB, 9 * GIB, rotational=True))
    assert check.found == "weights lie on what the kernel calls a rotating disk"


def test_a_folder_that_cannot_be_written_fails() -> None:
    check = only_file_system(FileSystem("temporary", "ext4", 9 * GIB, 9 * GIB, writable=False))
    assert (check.status, check.found) == (Status.FAIL, "the folder for temporary cannot be written")


def test_data_that_goes_with_the_container_is_told() -> None:
    (check,) = check_file_systems(recorded_machine("container_with_32GB"))
    assert (check.title, check.found) == ("volume", "sgcx's data lies in the container (overlay)")


def only_file_system(file_system: FileSystem) -> Check:
    (check,) = check_file_systems(replace(recorded_machine("8xH200"), file_systems=(file_system,)))
    return check


def test_too_few_open_files_and_too_little_locked_memory_are_told() -> None:
    checks = limits(recorded_machine("container_with_32GB"))
    assert (checks["open files"].status, checks["open files"].found) == (Status.WARN, "at most 1024")
    assert "locked memory" not in checks
    machine = recorded_machine("8xH100_infiniband")
    assert limits(machine)["open files"].status is Status.OK
    tight = replace(machine, limits=replace(machine.limits, locked_memory_bytes=8 << 20))
    assert limits(tight)["locked memory"].status is Status.WARN


def limits(machine: HardwareSnapshot) -> dict[str, Check]:
    return {check.title: check for check in check_limits(machine)}
