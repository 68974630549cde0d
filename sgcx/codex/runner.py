"""Find the user's Codex and run it with our profile: `codex -p sgcx ARGS…`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from packaging.version import InvalidVersion, Version

from sgcx.codex.config import PROFILE
from sgcx.errors import UserError

MINIMUM_VERSION = Version("0.134.0")
"""The first that reads `NAME.config.toml` for `-p NAME`. 0.130 knows only `[profiles.NAME]` in config.toml."""

INSTALL_HINT = "Install it with `npm install -g @openai/codex`"

VERSION_TIMEOUT_S = 20

COMMANDS_WITHOUT_PROFILE = frozenset(
    {
        "app-server", "apply", "a", "cloud", "completion", "debug", "doctor", "exec-server", "features", "help",
        "login", "logout", "migrate-rollouts", "plugin", "remote-control", "update",
    }
)  # fmt: skip
"""Codex refuses `-p` with these: they start no session."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class CodexInstallation:
    path: Path
    version: Version

    @property
    def is_supported(self) -> bool:
        return self.version >= MINIMUM_VERSION


def find_codex(environ: Mapping[str, str]) -> CodexInstallation | None:
    """The `codex` on the PATH; None if there is none."""
    found = shutil.which("codex", path=environ.get("PATH"))
    if found is None:
        return None
    return CodexInstallation(Path(found), _read_version(found, environ))


def require_codex(environ: Mapping[str, str]) -> CodexInstallation:
    installation = find_codex(environ)
    if installation is None:
        raise UserError("Codex is not installed: there is no `codex` on the PATH", hint=INSTALL_HINT)
    if not installation.is_supported:
        raise UserError(
            f"Codex {installation.version} at {installation.path} cannot read sgcx.config.toml: "
            f"profile files need {MINIMUM_VERSION} or later (older ones know only [profiles.x] in config.toml)",
            hint="Update it with `npm install -g @openai/codex@latest`",
        )
    return installation


def build_command(installation: CodexInstallation, arguments: Sequence[str]) -> tuple[str, ...]:
    """`-p sgcx` goes first, where Codex takes it for every command that starts a session."""
    if arguments and _takes_no_profile(arguments):
        raise UserError(
            f"`codex {arguments[0]}` takes no profile, so sgcx has nothing to add to it",
            hint=f"Run `codex {' '.join(arguments)}` directly",
        )
    own = tuple(arguments[: arguments.index("--")]) if "--" in arguments else tuple(arguments)
    _refuse_other_provider(own)
    named = tuple(_named_profiles(own))
    for profile in named:
        if profile != PROFILE:
            raise UserError(
                f"`sgcx codex` runs Codex with the profile {PROFILE!r}; the arguments ask for {profile!r}",
                hint=f"Leave out -p/--profile, or run `codex -p {profile}` directly (Codex ignores what follows `--`)",
            )
    # Codex refuses the option twice.
    profile_option = () if named else ("-p", PROFILE)
    return (str(installation.path), *profile_option, *arguments)


def build_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Codex sends even 127.0.0.1 through a proxy unless NO_PROXY names it."""
    environment = dict(environ)
    if not any(environ.get(name) or environ.get(name.upper()) for name in _PROXIES):
        return environment
    for name, other in (("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")):
        # Who has set one of them means it for programs that read the other first, too.
        listed = environ.get(name) or environ.get(other) or ""
        entries = [entry.strip() for entry in listed.split(",") if entry.strip()]
        missing = [host for host in _LOOPBACK if host not in entries and "*" not in entries]
        if missing:
            environment[name] = ",".join([*entries, *missing])
    return environment


def exec_codex(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Become Codex: it gets this process's terminal, signals and exit status."""
    try:
        os.execvpe(command[0], list(command), dict(environment))
    except OSError as error:
        raise UserError(f"Cannot run {command[0]}: {error.strerror}", hint=INSTALL_HINT) from error


def parse_version(output: str) -> Version | None:
    """From `codex-cli 0.169.0`, possibly among warnings."""
    match = re.search(r"\bcodex(?:-cli)?\s+v?(\d+\.\d+\.\d+\S*)", output)
    try:
        return Version(match.group(1)) if match else None
    except InvalidVersion:
        return None


def _read_version(path: str, environ: Mapping[str, str]) -> Version:
    try:
        answer = subprocess.run(
            [path, "--version"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"`{path} --version` does not run: {error}", hint=INSTALL_HINT) from error
    version = parse_version(answer.stdout)
    if version is None:
        said = (answer.stderr or answer.stdout).strip().splitlines()
        raise UserError(
            f"`{path} --version` does not name a version: {said[-1] if said else 'it says nothing'}",
            hint=INSTALL_HINT,
        )
    return version


def _takes_no_profile(arguments: Sequence[str]) -> bool:
    # Of the `debug` commands only this one takes it.
    return arguments[0] in COMMANDS_WITHOUT_PROFILE and tuple(arguments[:2]) != ("debug", "prompt-input")


def _refuse_other_provider(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if argument.split("=", 1)[0] in ("--oss", "--local-provider"):
            raise UserError(
                f"{argument} sends Codex to another server than sgcx's",
                hint=f"Leave it out, or run `codex {argument}` directly",
            )


def _named_profiles(arguments: Sequence[str]) -> list[str]:
    named = []
    for position, argument in enumerate(arguments):
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        if argument in ("-p", "--profile"):
            named.append(following)
        elif argument.startswith("--profile="):
            named.append(argument.removeprefix("--profile="))
        elif argument.startswith("-p") and not argument.startswith("--"):
            named.append(argument.removeprefix("-p").removeprefix("="))
    return named
