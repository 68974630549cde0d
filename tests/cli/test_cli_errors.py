"""What the user did wrong, what to do about it, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runner import Said, Sgcx
from inline_snapshot import snapshot
from recorded_machines import machine_file


def test_an_unknown_profile_names_its_neighbours(sgcx: Sgcx) -> None:
    assert sgcx("up", "kimi-k2") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: No profile is called 'kimi-k2'

hint: Did you mean kimi-k2.6?
""",
        )
    )


def test_an_unknown_profile_for_a_program(sgcx: Sgcx) -> None:
    said = sgcx("up", "kimi-k2", "--json")
    assert (said.exit_code, said.json, said.stderr) == snapshot(
        (
            2,
            {"error": {"message": "No profile is called 'kimi-k2'", "hint": "Did you mean kimi-k2.6?", "exit_code": 2}},
            "",
        )
    )


def test_a_model_that_does_not_fit_names_what_is_missing_and_what_would_fit(sgcx: Sgcx) -> None:
    assert sgcx("up", "kimi-k2.6", "--yes") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: kimi-k2.6 cannot be served on this machine: it has no NVIDIA GPU that can be used (no NVIDIA driver: libnvidia-ml.so.1 was not found): 617.3 GiB of GPU memory are missing

hint: This machine can serve rehearsal; kimi-k2.6 fits on 4× B300 or 8× H200 or 8× B200
""",  # noqa: E501
        )
    )


def test_a_recorded_machine_that_is_too_small_is_refused(sgcx: Sgcx) -> None:
    hardware = str(machine_file("1xRTX_4090"))
    assert sgcx("up", "kimi-k2.6", "--dry-run", "--hardware", hardware) == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: kimi-k2.6 cannot be served on this machine: for a context of 32,768 tokens it (int4) needs 621.7 GiB on one GPU (NVIDIA GeForce RTX 4090), 23.5 GiB are free: 598.2 GiB missing in all

hint: This machine can serve r1-distill-qwen-14b, r1-0528-qwen3-8b, r1-distill-llama-8b, r1-distill-qwen-7b, rehearsal; kimi-k2.6 fits on 4× B300 or 8× H200 or 8× B200
""",  # noqa: E501
        )
    )


def test_a_recorded_machine_cannot_be_started(sgcx: Sgcx) -> None:
    assert sgcx("up", "kimi-k2.6", "--hardware", str(machine_file("8xH200"))) == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: --hardware plans for another machine

hint: Add --dry-run
""",
        )
    )


def test_a_hardware_file_that_is_none_is_named(sgcx: Sgcx, home: Path) -> None:
    (home / "machine.json").write_text('{"gpus": 8}')
    assert sgcx("up", "kimi-k2.6", "--dry-run", "--hardware", "machine.json") == snapshot(
        Said(exit_code=2, stdout="", stderr="error: machine.json: `gpus` must be a list of tables, not 8\n")
    )


def test_gpus_that_are_no_indices(sgcx: Sgcx) -> None:
    assert sgcx("up", "kimi-k2.6", "--dry-run", "--gpus", "all") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: --gpus 'all' is no list of GPU indices

hint: Write it as 0,1,2,3
""",
        )
    )


@pytest.mark.parametrize("command", ["logs", "down", "codex-config"])
def test_commands_for_a_server_need_one(sgcx: Sgcx, command: str) -> None:
    assert sgcx(command) == Said(
        2,
        "",
        "error: No server has been started\n\nhint: Start one with `sgcx up rehearsal`, or see `sgcx profiles`\n",
    )


def test_codex_needs_a_config(sgcx: Sgcx) -> None:
    assert sgcx("codex") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: Codex has not been pointed at a server

hint: Run `sgcx codex-config` first
""",
        )
    )


def test_codex_without_a_config_still_has_help(sgcx: Sgcx) -> None:
    said = sgcx("codex", "--help")
    assert (said.exit_code, said.stderr) == (0, "")
    assert "All arguments are Codex's own" in said.stdout


def test_undo_takes_no_choice_of_a_server(sgcx: Sgcx) -> None:
    for choice in (("one",), ("--url", "http://127.0.0.1:1/v1")):
        said = sgcx("codex-config", "--undo", *choice)
        assert (said.exit_code, said.stdout) == (2, "")
        assert "--undo takes back all that was written" in said.stderr


def test_a_bench_whose_chart_cannot_be_written_measures_nothing(sgcx: Sgcx, home: Path) -> None:
    for chart in (home, home / "absent" / "chart.svg"):
        said = sgcx("bench", "--url", "http://127.0.0.1:1/v1", "--model", "m", "--chart", str(chart))
        assert (said.exit_code, said.stdout) == (2, "")
        assert f"--chart {Path('[HOME]') / chart.relative_to(home)} cannot be a file" in said.stderr


def test_no_server_is_an_empty_status(sgcx: Sgcx) -> None:
    assert sgcx("status") == Said(0, "", "No server has been started\n")
    assert sgcx("status", "--json") == Said(0, "[]\n", "")


def test_nothing_is_written_by_commands_that_only_look(sgcx: Sgcx, home: Path) -> None:
    for command in ("status", "profiles", "hardware", "engine", "doctor"):
        sgcx(command)
    assert [path.name for path in home.iterdir()] == ["bin"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("name", "--url", "http://127.0.0.1:1"), "A server's name and --url say two things"),
        (("--model", "m"), "--model and --key-file go with --url"),
    ],
)
def test_codex_config_takes_a_server_or_an_address(sgcx: Sgcx, arguments: tuple[str, ...], message: str) -> None:
    said = sgcx("codex-config", *arguments)
    assert said.exit_code == 2
    assert said.stderr.startswith(f"error: {message}\n")


def test_codex_gets_its_arguments_as_they_are(sgcx: Sgcx, home: Path) -> None:
    codex = home / "bin" / "codex"
    codex.write_text('#!/bin/sh\necho codex-cli 0.169.0 "$@"\n')
    codex.chmod(0o755)
    (home / "codex").mkdir()
    (home / "codex" / "sgcx.config.toml").write_text('model_provider = "sgcx"\n')
    said = sgcx("codex", "exec", "--help", "-i", "a.png", "--", "--json")
    assert said.stdout.split()[2:] == ["-p", "sgcx", "exec", "--help", "-i", "a.png", "--", "--json"]
