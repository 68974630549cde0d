"""`sgcx profiles`: which there are, what one says, and whether a file is one."""

from __future__ import annotations

from pathlib import Path

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.profile import Profile
from sgcx.profiles import ProfileEntry, list_profiles, load_profile, read_profile


def entries(paths: Paths) -> tuple[ProfileEntry, ...]:
    return list_profiles(paths.user_profiles)


def find_entry(name: str, paths: Paths) -> tuple[ProfileEntry, Profile]:
    """Raises the profile's own error if its file cannot be used."""
    profile = load_profile(name, paths.user_profiles)
    entry = next(entry for entry in entries(paths) if entry.name == name)
    return entry, profile


def check(target: str | None, paths: Paths) -> tuple[ProfileEntry, ...]:
    """The profiles that `target` means, each read or with its error: all, a name, or a file that lies anywhere."""
    if target is None:
        return entries(paths)
    path = Path(target)
    if path.suffix == ".toml" or "/" in target:
        return (ProfileEntry(path.stem, path.absolute(), "user", _read(path)),)
    found = tuple(entry for entry in entries(paths) if entry.name == target)
    if not found:
        load_profile(target, paths.user_profiles)  # its error names near matches
    return found


def _read(path: Path) -> Profile | UserError:
    try:
        return read_profile(path)
    except UserError as error:
        return error
