"""Finding Codex and the command line and environment that it gets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from sgcx.codex.runner import (
    CodexInstallation,
    build_command,
    build_environment,
    find_codex,
    parse_version,
    require_codex,
)
from sgcx.errors import UserError

CODEX = CodexInstallation(Path("/opt/codex"), Version("0.169.0"))


def make_codex(folder: Path, says: str) -> dict[str, str]:
    program = folder / "codex"
    program.write_text(f"#!{sys.executable}\nprint({says!r})\n")
    program.chmod(0o755)
    return {**os.environ, "PATH": str(folder)}


def test_codex_is_found_with_its_version(tmp_path: Path) -> None:
    found = find_codex(make_codex(tmp_path, "codex-cli 0.169.0"))
    assert found == CodexInstallation(tmp_path / "codex", Version("0.169.0"))


def test_no_codex_is_none_and_required_codex_says_how_to_install_it(tmp_path: Path) -> None:
    assert find_codex({"PATH": str(tmp_path)}) is None
    with pytest.raises(UserError) as raised:
        require_codex({"PATH": str(tmp_path)})
    assert "npm install" in (raised.value.hint or "")


def test_a_codex_without_profile_files_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"0\.130\.0 .* need 0\.134\.0"):
        require_codex(make_codex(tmp_path, "codex-cli 0.130.0"))


def test_a_program_that_names_no_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not name a version: something else"):
        find_codex(make_codex(tmp_path, "something else"))


@pytest.mark.parametrize(
    ("output", "version"),
    [("codex-cli 0.169.0\n", "0.169.0"), ("WARNING: x\ncodex-cli 0.170.0-alpha.2\n", "0.170.0a2"), ("", None)],
)
def test_versions_are_read_from_what_codex_prints(output: str, version: str | None) -> None:
    assert parse_version(output) == (None if version is None else Version(version))


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], ["-p", "sgcx"]),
        (["exec", "--json", "hi"], ["-p", "sgcx", "exec", "--json", "hi"]),
        (["-m", "deepseek-r1", "resume"], ["-p", "sgcx", "-m", "deepseek-r1", "resume"]),
        (["exec", "-p", "sgcx", "hi"], ["exec", "-p", "sgcx", "hi"]),
        (["--", "-p other"], ["-p", "sgcx", "--", "-p other"]),
        (["debug", "prompt-input"], ["-p", "sgcx", "debug", "prompt-input"]),
    ],
)
def test_our_profile_goes_before_the_users_arguments(arguments: list[str], command: list[str]) -> None:
    assert build_command(CODEX, arguments) == ("/opt/codex", *command)


@pytest.mark.parametrize("arguments", [["-p", "x"], ["exec", "-px"], ["--profile=x"], ["exec", "--profile", "x"]])
def test_another_profile_is_refused(arguments: list[str]) -> None:
    with pytest.raises(UserError, match="ask for 'x'"):
        build_command(CODEX, arguments)


@pytest.mark.parametrize("arguments", [["--oss"], ["exec", "--local-provider=ollama"]])
def test_another_server_is_refused(arguments: list[str]) -> None:
    with pytest.raises(UserError, match="another server"):
        build_command(CODEX, arguments)


@pytest.mark.parametrize("command", ["doctor", "login", "features", "debug"])
def test_a_command_that_takes_no_profile_is_refused(command: str) -> None:
    with pytest.raises(UserError, match="takes no profile"):
        build_command(CODEX, [command])


def test_a_proxy_does_not_get_between_codex_and_this_machine() -> None:
    environment = build_environment({"HTTPS_PROXY": "http://proxy:1", "no_proxy": "localhost,intra.net"})
    assert environment["no_proxy"] == "localhost,intra.net,127.0.0.1,::1"
    # Codex reads this one first: the user's own exceptions hold there, too.
    assert environment["NO_PROXY"] == environment["no_proxy"]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_an_exception_for_everything_is_left_as_it_is(name: str) -> None:
    environment = {"HTTPS_PROXY": "http://proxy:1", name: "*"}
    assert build_environment(environment) == environment


def test_without_a_proxy_the_environment_is_passed_on_as_it_is() -> None:
    assert build_environment({"A": "b"}) == {"A": "b"}
