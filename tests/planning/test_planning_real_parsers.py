"""Every command line that a plan can become is one that SGLang's own parser takes, of the oldest and newest release."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from recorded_machines import recorded_machine

from sgcx.engines import cpu_shims
from sgcx.planning.argv import build_argv
from sgcx.planning.plan import LaunchPlan, Wishes
from sgcx.planning.planner import plan
from sgcx.planning.profile import Profile
from sgcx.profiles import list_profiles

PARSE = Path(__file__).parent / "parse_arguments.py"
NEWEST = "0.5.23"
MACHINES = (
    "8xH200",
    "4xB200",
    "8xRTX_PRO_6000",
    "8xA100",
    "8xH100_infiniband",
    "3xRTX_4090",
    "1xRTX_5090",
    "DGX_Spark",
)
"""Together they have every kind of GPU, and every way to divide a model."""
PROFILES = [entry.profile for entry in list_profiles(Path("/nonexistent")) if isinstance(entry.profile, Profile)]
WISHES = (
    {},
    {"prefer": "latency"},
    {"prefer": "throughput", "host_cache_bytes": "auto"},
    {"node_count": 2, "dist_init_addr": "10.0.0.1:20000"},
    {"dp_size": 2},
)


@pytest.fixture(scope="session")
def newest_sglang(test_home: Path) -> Path:
    """The newest release's wheel, unpacked: installing it takes a GPU's libraries, its argument parser does not."""
    folder = test_home / f"sglang-{NEWEST}"
    if not folder.exists():
        wheels = test_home / f"sglang-{NEWEST}-wheel"
        platforms = [f"--platform={name}" for name in ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "any")]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--python-version=3.12", *platforms, f"--dest={wheels}", f"sglang=={NEWEST}"]
        made = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert made.returncode == 0, made.stderr
        [wheel] = wheels.glob("sglang-*.whl")
        unpacked = folder.with_name(f"{folder.name}.{os.getpid()}")
        zipfile.ZipFile(wheel).extractall(unpacked)
        unpacked.rename(folder)
    return folder


def command_lines(version: str) -> list[tuple[str, ...]]:
    lines: dict[tuple[str, ...], None] = {}
    for machine in MACHINES:
        hardware = recorded_machine(machine)
        for profile in PROFILES:
            for wishes in WISHES:
                if wishes.get("dp_size") and profile.name not in ("kimi-k2.6", "deepseek-r1"):
                    continue
                made = plan(hardware, profile, Wishes(sglang_version=version, **wishes))
                if isinstance(made, LaunchPlan):
                    lines[_command_line(made)] = None
    return list(lines)


def _command_line(made: LaunchPlan) -> tuple[str, ...]:
    return build_argv(
        made,
        model_path="/models/it",
        served_model_name=made.profile.served_model_name,
        host="127.0.0.1",
        port=30000,
        chat_template="/templates/it.jinja",
    )


def _parse(python: Path, folder: Path, lines: list[tuple[str, ...]]) -> dict[str, object]:
    done = subprocess.run(
        [python, PARSE, folder],
        input=json.dumps(lines),
        env={**os.environ, "PYTHONPATH": str(Path(cpu_shims.__file__).parent), "SGLANG_USE_CPU_ENGINE": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, object] = json.loads(done.stdout)
    return said


@pytest.mark.engine
def test_the_oldest_release_takes_every_command_line(engine_python: Path, sglang_site_packages: Path) -> None:
    lines = command_lines("0.5.10.post1")
    said = _parse(engine_python, sglang_site_packages, [*lines, ("--model-path", "/m", "--no-such-flag")])

    assert len(lines) > 60
    [refusal] = said["refusals"]
    assert refusal[1] == "unrecognized arguments: --no-such-flag", "the proof can fail, and fails for this alone"


@pytest.mark.engine
def test_the_newest_release_takes_every_command_line(engine_python: Path, newest_sglang: Path) -> None:
    lines = command_lines(NEWEST)
    said = _parse(engine_python, newest_sglang, [*lines, ("--model-path", "/m", "--cuda-graph-max-bs", "8")])

    assert len(lines) > 60
    [refusal] = said["refusals"]
    assert "--cuda-graph-max-bs" in refusal[1], "the old name is gone, and every plan has the new one"
