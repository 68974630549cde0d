"""A key in a private file: never an argument, those show in the process list."""

from __future__ import annotations

from pathlib import Path

from sgcx.errors import UserError
from sgcx.private_files import read_private


def read_key_file(path: Path, *, whose: str) -> str:
    """`whose`: for messages, as "The upstream's". Raises UserError where others can read the file, too."""
    content = read_private(path, f"{whose} key file", hint=f"chmod 600 {path}")
    if content is None:
        raise UserError(f"{whose} key file {path} does not exist")
    key = content.decode(errors="replace").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise UserError(f"{whose} key file {path} holds no key", hint="It must be one line of printable ASCII")
    return key
