"""`sgcx up --dry-run`: the plan for any recorded machine, and nothing else happens."""

from __future__ import annotations

import re
from pathlib import Path

from cli_runner import Sgcx
from recorded_machines import machine_file

HARDWARE = str(machine_file("8xH200"))


def test_a_dry_run_shows_plan_arguments_and_environment(sgcx: Sgcx, home: Path) -> None:
    said = sgcx("up", "kimi-k2.6", "--dry-run", "--hardware", HARDWARE)

    assert said.exit_code == 0
    assert said.stdout.startswith(
        "Kimi K2.6 · INT4, as published (moonshotai/Kimi-K2.6)\non 8 × NVIDIA H200 (GPUs 0, 1,"
    )
    assert [
        title
        for title in ("Memory of each GPU", "Because", "SGLang's arguments", "Environment")
        if title in said.stdout
    ]
    arguments = said.stdout.split("SGLang's arguments\n")[1].splitlines()[0]
    assert "--tp-size 8" in arguments
    assert "--served-model-name kimi-k2.6" in arguments
    assert not (home / "sgcx").exists()


def test_a_dry_run_for_a_program(sgcx: Sgcx) -> None:
    said = sgcx("up", "kimi-k2.6", "--dry-run", "--hardware", HARDWARE, "--json")

    assert said.exit_code == 0
    match said.json:
        case {"plan": dict(plan), "argv": list(argv), "environment": dict()}:
            assert argv[argv.index("--model-path") + 1] == "moonshotai/Kimi-K2.6"
            assert plan["gpu_indices"] == list(range(8))
        case other:
            raise AssertionError(other)


def test_the_rehearsal_is_planned_for_the_cpu_on_every_machine(sgcx: Sgcx) -> None:
    said = sgcx("up", "rehearsal", "--dry-run", "--hardware", HARDWARE)
    assert said.exit_code == 0
    assert re.match(r"Rehearsal .*\non the CPU, SGLang ", said.stdout)


def test_what_hardware_prints_is_a_hardware_file(sgcx: Sgcx, home: Path) -> None:
    (home / "this.json").write_text(sgcx("hardware", "--json").stdout)
    assert sgcx("up", "rehearsal", "--dry-run", "--hardware", "this.json").exit_code == 0
