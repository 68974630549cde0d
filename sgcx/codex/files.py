"""Reading and replacing the files of a Codex home: whole or not at all, private, and never outside that home."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from sgcx.errors import UserError

PRIVATE_MODE = 0o600


def resolve_target(path: Path, *, inside: Path) -> Path:
    """The file that `path` stands for: a symbolic link is followed as long as it stays inside the folder."""
    target = path.resolve()
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
    """Write beside the file, flush to disk, rename over it. A crash leaves the old file or the new one."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise _cannot_write(path, error) from error
    _flush_directory(path.parent)


def remove_file(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error
    _flush_directory(path.parent)


def _flush_directory(path: Path) -> None:
    """The rename itself is durable only when the directory is."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_write(path: Path, error: OSError) -> UserError:
    return UserError(
        f"Cannot write {path}: {error.strerror}", hint=f"Make {path.parent} writable for you, with room on its disk"
    )
