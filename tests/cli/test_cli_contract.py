"""What scripts may rely on: exit codes, no questions, no escape codes, completion."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main
from cli_runner import Sgcx

from sgcx.cli.app import EXIT_INTERRUPTED, app
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
    assert without <= {"codex", "supervise", "gateway"}, "these hand their terminal on"


def _has_json(command: object) -> bool:
    nested = getattr(command, "commands", {})
    if nested:
        return all(_has_json(each) for each in nested.values())
    return any("--json" in parameter.opts for parameter in command.params)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("sgcx up r1-distill-l", "r1-distill-llama-8b"),
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


@pytest.mark.parametrize("columns", ["40", "80"])
def test_a_narrow_terminal_cuts_nothing_off(sgcx: Sgcx, live_server: ServerRecord, columns: str) -> None:
    said = sgcx("status", COLUMNS=columns)
    assert max(map(len, said.stdout.splitlines())) <= int(columns)
    assert "…" not in said.stdout
