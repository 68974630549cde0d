"""docs/commands.md names every command that there is, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

from sgcx.cli.app import app

DOCUMENT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")


def test_the_commands_in_the_document_are_those_of_the_program() -> None:
    program: set[str] = set()
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        program.add(name)
        program |= {f"{name} {nested}" for nested in getattr(command, "commands", {})}
    named = {name for name in program if re.search(rf"\bsgcx {re.escape(name)}\b", DOCUMENT)}
    assert sorted(program - named) == ["engine list", "profiles list"], "these are what the word before them does"
    groups = "|".join(("engine", "patch", "profiles"))
    mentioned = set(re.findall(rf"`sgcx ((?:{groups}) [a-z]+|[a-z][a-z-]*)", DOCUMENT))
    assert mentioned - program == set()


def test_the_options_in_the_document_exist() -> None:
    known = {
        option
        for command in _walk(typer.main.get_command(app))
        for parameter in command.params
        for option in parameter.opts
    }
    assert set(re.findall(r"--[a-z][a-z-]+", DOCUMENT)) - known == {"--help"}


def _walk(command: object) -> list:  # type: ignore[type-arg]
    nested = getattr(command, "commands", {})
    return [command, *(each for one in nested.values() for each in _walk(one))]
