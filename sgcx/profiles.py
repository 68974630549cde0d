"""Finds and reads profile files: those that ship with sgcx, and the user's own, which win."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sgcx.errors import UserError
from sgcx.planning.profile import Profile
from sgcx.planning.profile_file import parse_profile

Origin = Literal["built-in", "user"]


@dataclass(frozen=True, slots=True)
class ProfileEntry:
    name: str
    path: Path
    origin: Origin
    profile: Profile | UserError
    """The error, when the file cannot be used: one bad file must not hide the others."""


def load_profile(name: str, user_dir: Path) -> Profile:
    files = _profile_files(user_dir)
    if name not in files:
        raise UserError(f"No profile is called {name!r}", hint=_near(name, sorted(files)))
    path, _ = files[name]
    return read_profile(path)


def list_profiles(user_dir: Path) -> tuple[ProfileEntry, ...]:
    """By name; a user's file replaces the built-in profile of the same name."""
    return tuple(
        ProfileEntry(name=name, path=path, origin=origin, profile=read_or_error(path))
        for name, (path, origin) in sorted(_profile_files(user_dir).items())
    )


def built_in_directory() -> Path:
    """Inside the package when installed from a wheel, beside it in a working tree."""
    package = Path(__file__).resolve().parent
    shipped = package / "_profiles"
    return shipped if shipped.is_dir() else package.parent / "profiles"


def _profile_files(user_dir: Path) -> dict[str, tuple[Path, Origin]]:
    files: dict[str, tuple[Path, Origin]] = {}
    for directory, origin in ((built_in_directory(), _BUILT_IN), (user_dir, _USER)):
        for path in sorted(directory.glob("*.toml")):
            files[path.stem] = (path, origin)
    return files


_BUILT_IN: Origin = "built-in"
_USER: Origin = "user"


def read_or_error(path: Path) -> Profile | UserError:
    try:
        return read_profile(path)
    except UserError as error:
        return error


def read_profile(path: Path) -> Profile:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    profile = parse_profile(text, origin=str(path))
    if profile.name != path.stem:
        raise UserError(
            f"{path}: `name` must be {path.stem!r}, not {profile.name!r}",
            hint="A profile has the name of its file",
        )
    return profile


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    return f"Did you mean {' or '.join(near)}?" if near else f"Profiles: {', '.join(known)}"
