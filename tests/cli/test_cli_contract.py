"""What scripts may rely on: exit codes, no questions, no escape codes, completion."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
import typer.main
from cli_runner import Sgcx
from recorded_machines import machine_file

from sgcx.cli.app import EXIT_INTERRUPTED, app
from sgcx.cli.characters import show_what_is_possible
from sgcx.errors import LaunchFailed, UserError
from sgcx.server.records import ServerRecord

DOCUMENT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")


def test_the_documented_exit_codes_are_those_of_the_program() -> None:
    table = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", DOCUMENT, re.MULTILINE))
    assert sorted(map(int, table)) == sorted({0, LaunchFailed.exit_code, UserError.exit_code, EXIT_INTERRUPTED})


def test_every_command_that_only_reads_has_json(sgcx: Sgcx) -> None:
    without = {
        name
        for name, command in typer.main.get_command(app).commands.items()
        if not _has_json(command)  # type: ignore[attr-defined]
    }
    assert without == {"codex", "supervise"}, "these hand their terminal on"


def _has_json(command: object) -> bool:
    nested = getattr(command, "commands", {})
    if nested:
        return all(_has_json(each) for each in nested.values())
    return any("--json" in parameter.opts for parameter in command.params)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("sgcx up r1-distill-l", "r1-distill-llama-8b"),
        ("sgcx plan kimi", "kimi-k2.6"),
        ("sgcx pull kimi", "kimi-k2.6"),
        ("sgcx logs o", "one"),
        ("sgcx down o", "one"),
        ("sgcx rest", "restart"),
    ],
)
def test_names_are_completed(sgcx: Sgcx, live_server: ServerRecord, words: str, offered: str) -> None:
    position = str(len(words.split()) - 1)
    said = sgcx(_SGCX_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=position)
    assert offered in said.stdout.split(), said


def test_completion_is_silent_when_something_is_wrong(sgcx: Sgcx, home: Path) -> None:
    (home / "sgcx" / "config" / "profiles").mkdir(parents=True)
    (home / "sgcx" / "config" / "profiles" / "bad.toml").write_text("= nonsense")
    said = sgcx(_SGCX_COMPLETE="complete_bash", COMP_WORDS="sgcx up ", COMP_CWORD="2")
    assert "rehearsal" in said.stdout.split()
    assert "bad" not in said.stdout.split()
    assert said.stderr == ""


@pytest.mark.parametrize("command", [("status",), ("profiles",), ("models",), ("doctor", "--summary")])
def test_no_escape_codes_reach_a_pipe_or_a_terminal_that_wants_none(
    sgcx: Sgcx, live_server: ServerRecord, command: tuple[str, ...]
) -> None:
    for environment in ({}, {"NO_COLOR": "1", "FORCE_COLOR": ""}):
        said = sgcx(*command, **environment)
        assert "\x1b[" not in said.stdout + said.stderr


@pytest.mark.parametrize("command", [("hardware",), ("doctor", "--summary"), ("profiles", "list"), ("top", "--once")])
def test_a_terminal_that_wants_ascii_is_shown_nothing_else(
    sgcx: Sgcx, live_server: ServerRecord, command: tuple[str, ...]
) -> None:
    said = sgcx(*command, SGCX_ASCII="1")
    assert said.stdout and said.stdout.isascii() and said.stderr.isascii()
    assert said.exit_code in (0, 1) and "Traceback" not in said.stderr


def test_ascii_is_an_option_before_and_after_a_command_and_follows_from_the_encoding(sgcx: Sgcx) -> None:
    plan = ("plan", "kimi-k2.6", "--hardware", str(machine_file("8xH200")))
    drawn = sgcx(*plan, "--ascii")
    assert drawn.stdout.isascii() and "on 8 x NVIDIA H200" in drawn.stdout
    assert drawn == sgcx("--ascii", *plan) == sgcx(*plan, PYTHONIOENCODING="ascii")


def test_ascii_loses_nothing_of_json(sgcx: Sgcx) -> None:
    plan = ("plan", "kimi-k2.6", "--hardware", str(machine_file("8xH200")), "--json")
    escaped, plain = sgcx(*plan, "--ascii"), sgcx(*plan)
    assert escaped.stdout.isascii() and not plain.stdout.isascii()
    assert escaped.json == plain.json


def test_an_encoding_keeps_what_it_has_and_is_given_stand_ins_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "latin-1"))
    show_what_is_possible()
    sys.stdout.write("8 × H200 · 53–160 °C █ 漢")
    sys.stdout.flush()
    assert written.getvalue().decode("latin-1") == "8 × H200 · 53-160 °C # ?"


@pytest.mark.parametrize("columns", ["40", "80"])
def test_a_narrow_terminal_cuts_nothing_off(sgcx: Sgcx, live_server: ServerRecord, columns: str) -> None:
    said = sgcx("status", COLUMNS=columns)
    assert max(map(len, said.stdout.splitlines())) <= int(columns)
    assert "…" not in said.stdout
