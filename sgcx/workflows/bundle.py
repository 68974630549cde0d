"""`sgcx doctor --bundle FILE`: what somebody who helps needs to see, in one archive, without secrets.

Only what is listed here goes in, and all of it through one scrubber: no prompts, no kept responses, no weights, no key.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import platform
import socket
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sgcx import __version__
from sgcx.atomic_write import write_atomically
from sgcx.byte_sizes import MIB
from sgcx.codex.installation import catalog_path, profile_path, resolve_codex_home
from sgcx.codex.runner import find_codex
from sgcx.errors import SgcxError, UserError
from sgcx.hardware.detect import detect_hardware
from sgcx.paths import Paths
from sgcx.planning.plan import Wishes
from sgcx.planning.planner import plan
from sgcx.planning.profile import Profile
from sgcx.profiles import list_profiles
from sgcx.workflows.scrubbing import Scrubber, secrets_in

_FOLDER = "sgcx-support"
_LAST_BYTES = 4 * MIB
"""Of a log: the end tells most."""
_SERVER_FILES = ("record.json", "child.json", "child.pid", "server.log*", "*.json")
_ENGINE_FILES = ("engine.json", "pip.log")
_VARIABLES = ("SGCX_", "SGLANG_", "HF_", "CUDA", "NCCL_", "GLOO_", "TORCH", "OMP_", "CODEX_", "XDG_", "LD_LIBRARY_PATH")
_ABOUT = """\
What `sgcx doctor --bundle` gathered: versions, the machine, doctor's report, plans, the logs and records of servers
and engines, Codex's profile for sgcx, and variables that matter. API keys, tokens and passwords are removed, and so
are the names of this machine and of the home folder. Prompts and kept responses are not in it.
Please look through it before you send it.
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    path: Path
    members: tuple[str, ...]
    left_out: tuple[str, ...]
    """What could not be gathered, and why."""


def write_bundle(path: Path, report: object, paths: Paths, environ: Mapping[str, str]) -> Bundle:
    """`report` is doctor's, as JSON. An existing file is not overwritten."""
    if path.exists():
        raise UserError(f"{path} is there already", hint="Name another file")
    gathering = _Gathering(_scrubber(paths, environ))
    gathering.add("README.txt", lambda: _ABOUT)
    gathering.add("doctor.json", lambda: _json(report))
    gathering.add("versions.json", lambda: _json(_versions(environ)))
    gathering.add("hardware.json", lambda: _json(detect_hardware(paths.data).to_json()))
    gathering.add("plans.json", lambda: _json(_plans(paths)))
    gathering.add("environment.json", lambda: _json(_variables(environ)))
    gathering.add_files("servers", paths.servers, _SERVER_FILES)
    gathering.add_files("engines", paths.engines, _ENGINE_FILES)
    for profile in sorted(paths.user_profiles.glob("*.toml")):
        gathering.add_file(f"profiles/{profile.name}", profile)
    home = resolve_codex_home(environ)
    for file in (profile_path(home), catalog_path(home)):
        gathering.add_file(f"codex/{file.name}", file)
    try:
        write_atomically(path, gathering.archive())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}", hint="Choose another folder") from error
    return Bundle(path, tuple(gathering.members), tuple(gathering.left_out))


class _Gathering:
    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self.members: dict[str, bytes] = {}
        self.left_out: list[str] = []

    def add(self, name: str, read: Callable[[], str]) -> None:
        """What cannot be had is left out: the machine that needs help is one where things fail."""
        try:
            text = read()
        except Exception as error:
            self.left_out.append(self._scrubber.scrub(f"{name}: {type(error).__name__}: {error}"))
            return
        self.members[self._scrubber.scrub(name)] = self._scrubber.scrub_file(text).encode()

    def add_file(self, name: str, file: Path) -> None:
        if file.is_file():
            self.add(name, lambda: _end_of(file))

    def add_files(self, folder: str, root: Path, patterns: tuple[str, ...]) -> None:
        """Of each subfolder of `root`."""
        for subfolder in sorted(each for each in root.glob("*") if each.is_dir()):
            files = {file for pattern in patterns for file in subfolder.glob(pattern)}
            for file in sorted(files):
                self.add_file(f"{folder}/{subfolder.name}/{file.name}", file)

    def archive(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for name, content in self.members.items():
                member = tarfile.TarInfo(f"{_FOLDER}/{name}")
                member.size, member.mtime, member.mode = len(content), int(time.time()), 0o600
                archive.addfile(member, io.BytesIO(content))
        return buffer.getvalue()


def _scrubber(paths: Paths, environ: Mapping[str, str]) -> Scrubber:
    secrets = [*secrets_in(environ), *_stored_secrets(paths, environ)]
    return Scrubber(secrets, home=Path.home(), hostname=socket.gethostname())


def _stored_secrets(paths: Paths, environ: Mapping[str, str]) -> Iterator[str]:
    """Read only to know what to remove; from a file that others can read, too."""
    hub = Path(environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    for file in (paths.api_key, Path(environ.get("HF_TOKEN_PATH") or hub / "token")):
        try:
            yield file.read_text().strip()
        except (OSError, UnicodeDecodeError):
            continue


def _end_of(file: Path) -> str:
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _LAST_BYTES))
        if size > _LAST_BYTES:
            stream.readline()  # half a line could hold half a secret
        return stream.read().decode(errors="replace")


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"


def _versions(environ: Mapping[str, str]) -> dict[str, object]:
    codex = find_codex(environ)
    packages = {each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}
    return {
        "sgcx": __version__,
        "python": sys.version,
        "system": platform.platform(),
        "codex": None if codex is None else str(codex.version),
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }


def _plans(paths: Paths) -> dict[str, object]:
    """What each profile would get on this machine as it is."""
    hardware = detect_hardware(paths.data)
    plans: dict[str, object] = {}
    for entry in list_profiles(paths.user_profiles):
        if not isinstance(entry.profile, Profile):
            plans[entry.path.name] = str(entry.profile)
            continue
        try:
            plans[entry.profile.name] = plan(hardware, entry.profile, Wishes()).to_json()
        except SgcxError as error:
            plans[entry.profile.name] = error.message
    return plans


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in sorted(environ.items())
        if name.startswith(_VARIABLES) or name.lower().endswith("_proxy")
    }
