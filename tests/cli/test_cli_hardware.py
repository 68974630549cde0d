"""`sgcx hardware`, and the version."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import pytest
from cli_runner import Said, Sgcx
from inline_snapshot import snapshot
from recorded_machines import MACHINE_NAMES, recorded_machine

from sgcx import __version__
from sgcx.cli.hardware_view import describe
from sgcx.planning.host_facts import MemoryFacts
from sgcx.planning.snapshot import parse_snapshot


def test_the_version_is_told(sgcx: Sgcx) -> None:
    assert sgcx("--version") == Said(0, f"sgcx {__version__}\n", "")


def test_this_machine_reads_back_from_what_is_printed(sgcx: Sgcx) -> None:
    said = sgcx("hardware", "--json")

    assert (said.exit_code, said.stderr) == (0, "")
    machine = parse_snapshot(said.json)
    assert machine.logical_cores >= 1
    assert {each.purpose for each in machine.file_systems} >= {"data", "weights", "temporary"}
    assert machine.to_json() == said.json


def test_a_snapshot_names_neither_the_machine_nor_its_folders(sgcx: Sgcx) -> None:
    said = sgcx("hardware", "--json", HF_TOKEN="hf_secretsecret")

    for private in ("[HOME]", socket.gethostname(), "hf_secretsecret", f"{os.sep}tmp{os.sep}"):
        assert private not in said.stdout


def test_every_machine_can_be_shown() -> None:
    for name in MACHINE_NAMES:
        lines = list(describe(recorded_machine(name)))
        assert all(text for _, text in lines)
        assert {"Processor", "Memory", "System"} <= {label for label, _ in lines}


def test_what_matters_about_gpus_is_on_screen() -> None:
    assert _shown("8xH100_one_lost", "GPU", "Links", "Xid") == snapshot(
        [
            "GPU: GPU 5 is left out: GPU is lost",
            "Links: all GPUs by NVLink (18 links)",
            "Xid: 79 on 0000:60:00, 1× since the machine started",
        ]
    )
    assert _shown("2x48GB_and_display", "GPU 0", "", "Links")[:2] == snapshot(
        [
            "GPU 0: NVIDIA T400 4GB, 3.6 GiB of 4.0 GiB free, compute capability 7.5",
            ": PCIe 3 x16 · 30 W · 34 °C · drives a display",
        ]
    )
    assert _shown("8xH200_fabric_down", "") != []
    assert "NVLink fabric in_progress" in _shown("8xH200_fabric_down", "")[0]
    assert _shown("container_with_32GB", "Limits") == snapshot(["Limits: 1024 open files, 0.1 MiB locked memory"])


def test_where_processors_and_memory_are_is_on_screen() -> None:
    assert _shown("8xH200", "NUMA") == snapshot(["NUMA: node 0: processors 0-47,96-143, 1024.0 GiB"])
    swapping = replace(recorded_machine("container_with_32GB"), memory=MemoryFacts(32 << 30, 2, 8 << 30, 6 << 30))
    shown = [text for label, text in describe(swapping) if not label]
    assert {"limited to 32.0 GiB by a control group (version 2)", "6.0 GiB of 8.0 GiB of swap free"} <= set(shown)


@pytest.mark.parametrize("name", ["8xA100_MIG"])
def test_a_gpu_that_is_cut_shows_its_parts(name: str) -> None:
    assert ": MIG instance MIG 3g.40gb, 39.2 GiB" in _shown(name, "")


def _shown(name: str, *labels: str) -> list[str]:
    return [f"{label}: {text}" for label, text in describe(recorded_machine(name)) if label in labels]
