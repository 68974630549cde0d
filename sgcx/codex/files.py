"""Reading and replacing the files of a Codex home: whole or not at all, private, and never outside that home."""

from __future__ import annotations

import stat
from pathlib import Path

from sgcx.atomic_write import sync_directory, write_atomically
from sgcx.errors import UserError

PRIVATE_MODE = 0o600


def resolve_target(path: Path, *, inside: Path) -> Path:
    """The file that `path` stands for: a symbolic link is followed as long as it stays inside the folder."""
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:  # up to Python 3.12 a loop is a RuntimeError
        raise UserError(f"{path} is a symbolic link that leads nowhere", hint="Replace it by a file") from error
    if path.is_symlink() and not target.is_relative_to(inside.resolve()):
        raise UserError(
            f"{path} is a symbolic link to {target}, outside {inside}",
            hint="Edit that file yourself (docs/codex.md has the text), or replace the link by a file",
        )
    return target if path.is_symlink() else path


def read_if_present(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}", hint="Check its owner and mode") from error


def read_mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def private_mode(existing: int | None) -> int:
    """A file with a key in it is its owner's alone; a mode that is stricter still is kept."""
    return PRIVATE_MODE if existing is None else existing & PRIVATE_MODE


def replace_file(path: Path, content: bytes, *, mode: int) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, content, mode=mode)
    except OSError as error:
        raise _cannot_write(path, error) from error


def remove_file(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error
    sync_directory(path.parent)


def _cannot_write(path: Path, error: OSError) -> UserError:
    return UserError(
        f"Cannot write {path}: {error.strerror}", hint=f"Make {path.parent} writable for you, with room on its disk"
    )
