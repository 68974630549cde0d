"""A key in a private file: never an argument, those show in the process list."""

from __future__ import annotations

from pathlib import Path

from sgcx.errors import UserError


def read_key_file(path: Path, *, whose: str) -> str:
    """`whose`: for messages, as "The upstream's". Raises UserError where others can read the file, too."""
    try:
        mode, key = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{whose} key file {path} cannot be read: {error}") from error
    if mode & 0o077:
        raise UserError(
            f"{whose} key file {path} can be read by others (mode {mode & 0o777:o})", hint=f"chmod 600 {path}"
        )
    if not key or not key.isascii() or not key.isprintable():
        raise UserError(f"{whose} key file {path} holds no key", hint="It must be one line of printable ASCII")
    return key
