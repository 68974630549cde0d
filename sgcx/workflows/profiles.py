"""`sgcx profiles`: which there are, what one says, and whether a file is one."""

from __future__ import annotations

import re
from pathlib import Path

from sgcx.atomic_write import write_atomically
from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.profile import Profile
from sgcx.planning.profile_draft import draft_profile
from sgcx.planning.profile_file import parse_profile
from sgcx.profiles import ProfileEntry, list_profiles, load_profile, read_or_error
from sgcx.workflows.checkpoints import find_checkpoint, read_checkpoint


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
        return (ProfileEntry(path.stem, path.absolute(), "user", read_or_error(path)),)
    found = tuple(entry for entry in entries(paths) if entry.name == target)
    if not found:
        load_profile(target, paths.user_profiles)  # its error names near matches
    return found


def new(name: str, source: str, paths: Paths) -> Path:
    """Writes a commented profile of a checkpoint at hand: a folder, or a repository in the hub client's cache."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UserError(f"{name!r} is no name for a profile", hint="Use letters, digits, dots, dashes and underscores")
    target = paths.user_profiles / f"{name}.toml"
    if target.exists():
        raise UserError(f"{target} exists already", hint="Choose another name, or edit the file")
    folder = Path(source).absolute() if Path(source).is_dir() else find_checkpoint(source, None)
    if folder is None or not (folder / "config.json").is_file():
        raise UserError(
            f"{source} is neither a folder with a config.json nor in the hub's cache on this machine",
            hint="Download its config.json first: `hf download OWNER/MODEL config.json`",
        )
    found = read_checkpoint(folder)
    repository = str(folder) if Path(source).is_dir() else source
    text = draft_profile(
        name,
        repository,
        found.config,
        weights_bytes=found.weights_bytes,
        has_prediction_layers=found.has_prediction_layers,
    )
    parse_profile(text, origin=str(target))  # a draft that cannot be read is never written
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(target, text.encode(), mode=0o644)
    return target
