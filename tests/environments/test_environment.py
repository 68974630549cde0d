"""An engine environment is made, checked, mended and removed; and a killed installation does no lasting harm.

A tiny package built here stands in for SGLang: real venvs, real pip, no network.
"""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sgcx.environments import environment, installer
from sgcx.environments.engine_specs import EngineDirectory, EngineSpec
from sgcx.environments.environment import EngineStatus
from sgcx.environments.install_lock import installer_at_work
from sgcx.environments.install_preflight import check_python
from sgcx.environments.install_progress import InstallProgress
from sgcx.errors import LaunchFailed, UserError

_DEADLINE_S = 60


class NoPatches:
    def is_patched_file(self, site_packages: Path, relative_path: str) -> bool:
        return False


class OnePatch:
    """Changes the package's module, as a source patch does."""

    def is_patched_file(self, site_packages: Path, relative_path: str) -> bool:
        return relative_path == "tiny_engine.py" and "patched" in (site_packages / relative_path).read_text()


def build_wheel(directory: Path, version: str) -> Path:
    metadata = f"tiny_engine-{version}.dist-info"
    files = {
        "tiny_engine.py": b"answer = 42\n",
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: tiny-engine\nVersion: {version}\n".encode(),
        f"{metadata}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},sha256={_record_hash(data)},{len(data)}" for name, data in files.items()]
    files[f"{metadata}/RECORD"] = "\n".join([*rows, f"{metadata}/RECORD,,", ""]).encode()
    wheel = directory / f"tiny_engine-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return wheel


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> EngineSpec:
    directory = tmp_path_factory.mktemp("index")
    digest = hashlib.sha256(build_wheel(directory, "1.0").read_bytes()).hexdigest()
    lock = directory / "tiny.txt"
    lock.write_text(f"# a comment\ntiny-engine==1.0 \\\n    --hash=sha256:{digest}\n")
    return EngineSpec("tiny-1.0-cpu", "1.0", "cpu", lock, 1 << 20, (3, 99), proof_module="tiny_engine")


@pytest.fixture(scope="module", autouse=True)
def only_the_local_index(spec: EngineSpec) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(spec.lock.parent))
        patch.setenv("PIP_USER", "1")
        yield


@pytest.fixture(scope="module")
def engines_dir(tmp_path_factory: pytest.TempPathFactory, spec: EngineSpec) -> Path:
    """With the engine in it. Tests that damage it mend it."""
    directory = tmp_path_factory.mktemp("engines")
    environment.install(spec, directory)
    return directory


def module_of(spec: EngineSpec, engines_dir: Path) -> Path:
    site_packages = EngineDirectory.of(spec, engines_dir).site_packages()
    assert site_packages is not None
    return site_packages / "tiny_engine.py"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_installed_engine_is_ready_and_verifies(spec: EngineSpec, engines_dir: Path) -> None:
    state = environment.inspect(spec, engines_dir)
    assert (state.status, state.reason) == (EngineStatus.READY, None)
    assert state.size_bytes > 0
    assert environment.verify(spec, engines_dir, patcher=NoPatches()) == []


def test_installing_a_ready_engine_does_nothing(spec: EngineSpec, engines_dir: Path) -> None:
    progress: list[InstallProgress] = []
    environment.install(spec, engines_dir, on_progress=progress.append)
    assert progress == []


def test_a_damaged_file_is_found_and_mended(spec: EngineSpec, engines_dir: Path) -> None:
    module = module_of(spec, engines_dir)
    module.write_text("answer = 43\n")
    problems = environment.verify(spec, engines_dir, patcher=NoPatches())
    assert [problem.package for problem in problems] == ["tiny-engine"]
    assert str(module) in problems[0].message
    assert environment.repair(spec, engines_dir, patcher=NoPatches()) == problems
    assert module.read_text() == "answer = 42\n"
    assert environment.inspect(spec, engines_dir).status is EngineStatus.READY


def test_a_missing_file_is_found_and_mended(spec: EngineSpec, engines_dir: Path) -> None:
    module_of(spec, engines_dir).unlink()
    assert len(environment.repair(spec, engines_dir, patcher=NoPatches())) == 1
    assert environment.verify(spec, engines_dir, patcher=NoPatches()) == []


def test_a_patched_file_is_right_and_a_damaged_one_becomes_the_published(spec: EngineSpec, engines_dir: Path) -> None:
    module = module_of(spec, engines_dir)
    module.write_text("patched = True\n")
    assert environment.verify(spec, engines_dir, patcher=OnePatch()) == []
    module.write_text("damaged\n")
    assert len(environment.repair(spec, engines_dir, patcher=OnePatch())) == 1
    assert module.read_text() == "answer = 42\n"


def test_a_version_other_than_the_locks_is_found(spec: EngineSpec, engines_dir: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.txt"
    newer.write_text("tiny-engine==2.0\nabsent==1.0\n")
    problems = environment.verify(replace(spec, lock=newer), engines_dir, patcher=NoPatches())
    assert [problem.message for problem in problems] == [
        "tiny-engine is 1.0, the lock says 2.0",
        "absent is not installed",
    ]


def test_a_changed_lock_and_a_lost_python_make_an_engine_broken(
    spec: EngineSpec, engines_dir: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.txt"
    other.write_text("tiny-engine==1.0\n")
    state = environment.inspect(replace(spec, lock=other), engines_dir)
    assert state.status is EngineStatus.BROKEN
    assert state.reason == "it was made from another lock than this sgcx has"
    python = EngineDirectory.of(spec, engines_dir).python
    target = python.readlink()
    python.unlink()
    python.symlink_to("/nonexistent/python")
    state = environment.inspect(spec, engines_dir)
    python.unlink()
    python.symlink_to(target)
    assert state.status is EngineStatus.BROKEN
    assert state.reason is not None
    assert "does not start" in state.reason


_INSTALL_AND_STOP_IN = """
import pathlib, sys
from sgcx.environments import environment, installer
from sgcx.environments.engine_specs import EngineSpec

def stop(progress):
    if progress.stage == sys.argv[3] and progress.done == int(sys.argv[4]):
        print("stopped", flush=True)
        sys.stdin.read()

spec = EngineSpec("tiny-1.0-cpu", "1.0", "cpu", pathlib.Path(sys.argv[1]), 1, (3, 99), "tiny_engine")
environment.install(spec, pathlib.Path(sys.argv[2]), on_progress=stop)
"""


@pytest.mark.parametrize(("stage", "done"), [("create", "1"), ("download", "1")])
def test_a_killed_installation_is_noticed_and_made_again(
    spec: EngineSpec, tmp_path: Path, stage: str, done: str
) -> None:
    command = [sys.executable, "-c", _INSTALL_AND_STOP_IN, str(spec.lock), str(tmp_path), stage, done]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as installer:
        assert installer.stdout is not None
        assert installer.stdout.readline() == b"stopped\n"
        with pytest.raises(UserError, match=r"being installed or changed by another process \(pid \d+\)"):
            environment.install(spec, tmp_path)
        installer.send_signal(signal.SIGKILL)
    wait_until(lambda: installer_at_work(EngineDirectory.of(spec, tmp_path)) is None)
    state = environment.inspect(spec, tmp_path)
    assert (state.status, state.reason) == (EngineStatus.INCOMPLETE, "its installation was interrupted")
    assert environment.install(spec, tmp_path).status is EngineStatus.READY
    assert environment.verify(spec, tmp_path, patcher=NoPatches()) == []
    assert environment.remove(spec, tmp_path) > 0
    assert environment.inspect(spec, tmp_path).status is EngineStatus.ABSENT
    assert environment.remove(spec, tmp_path) == 0


def test_a_disk_that_is_too_small_is_said_in_gib_before_anything_is_written(spec: EngineSpec, tmp_path: Path) -> None:
    engines_dir = tmp_path / "engines"
    with pytest.raises(UserError, match=r"is \d+\.\d GiB short") as refusal:
        environment.install(replace(spec, minimum_free_bytes=1 << 60), engines_dir)
    assert refusal.value.hint is not None
    assert environment.inspect(spec, engines_dir).status is EngineStatus.ABSENT


def test_a_half_made_engine_is_gone_before_the_disk_is_measured(
    spec: EngineSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = EngineDirectory.of(spec, tmp_path)
    engine.venv.mkdir(parents=True)
    there: list[bool] = []
    monkeypatch.setattr(installer, "check_free_space", lambda path, _: there.append(path.exists()))
    environment.install(spec, tmp_path)
    assert there == [False]


def test_an_engine_behind_a_link_is_used_and_never_changed(spec: EngineSpec, engines_dir: Path, tmp_path: Path) -> None:
    linked = EngineDirectory.of(spec, tmp_path).path
    linked.symlink_to(EngineDirectory.of(spec, engines_dir).path)
    assert environment.install(spec, tmp_path).status is EngineStatus.READY
    changed_lock = tmp_path / "changed.txt"
    changed_lock.write_text(spec.lock.read_text() + "# changed\n")
    changed = replace(spec, lock=changed_lock)
    assert environment.inspect(changed, tmp_path).status is EngineStatus.BROKEN
    for change in (
        lambda: environment.install(changed, tmp_path),
        lambda: environment.repair(spec, tmp_path, patcher=NoPatches()),
        lambda: environment.remove(spec, tmp_path),
    ):
        with pytest.raises(UserError, match="is a link to"):
            change()
    assert environment.inspect(spec, engines_dir).status is EngineStatus.READY


def test_an_engine_that_another_process_has_just_finished_is_not_made_again(
    spec: EngineSpec, engines_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = environment.inspect(spec, engines_dir)
    looks = iter([replace(ready, status=EngineStatus.INCOMPLETE), ready])
    monkeypatch.setattr(environment, "inspect", lambda *_: next(looks))
    marker = EngineDirectory.of(spec, engines_dir).marker.stat().st_mtime_ns
    assert environment.install(spec, engines_dir) == ready
    assert EngineDirectory.of(spec, engines_dir).marker.stat().st_mtime_ns == marker


def test_an_engine_that_cannot_be_imported_is_not_ready(spec: EngineSpec, tmp_path: Path) -> None:
    with pytest.raises(LaunchFailed, match="cannot import no_such_module") as failure:
        environment.install(replace(spec, proof_module="no_such_module"), tmp_path)
    assert "ModuleNotFoundError: No module named 'no_such_module'" in failure.value.log_tail
    assert environment.inspect(spec, tmp_path).status is EngineStatus.INCOMPLETE


def test_a_package_that_is_not_the_locks_is_refused(spec: EngineSpec, tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(f"tiny-engine==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(UserError, match="not the file that the lock names"):
        environment.install(replace(spec, lock=lock), tmp_path)


def test_a_package_that_the_index_lacks_is_named(spec: EngineSpec, tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("tiny-engine==7.0\n")
    with pytest.raises(UserError, match=r"no tiny-engine==7\.0"):
        environment.install(replace(spec, lock=lock), tmp_path)


def test_a_python_outside_the_locks_range_is_refused() -> None:
    with pytest.raises(UserError, match=r"made for Python 3\.11 to 3\.10"):
        check_python(Path(sys.executable), (3, 10))


def test_something_that_is_no_python_is_refused() -> None:
    with pytest.raises(UserError, match="does not run as a Python interpreter"):
        check_python(Path("/bin/false"), (3, 13))
