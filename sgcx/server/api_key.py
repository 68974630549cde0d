"""The API key: made once, kept in a file that only its owner can read."""

from __future__ import annotations

import secrets
from pathlib import Path

from sgcx.atomic_write import write_atomically
from sgcx.errors import UserError
from sgcx.private_files import read_private


def ensure_api_key(path: Path) -> str:
    """The stored key; a new one where there is none."""
    stored = read_api_key(path)
    if stored is not None:
        return stored
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = f"sgcx-{secrets.token_urlsafe(32)}"
    write_atomically(path, f"{key}\n".encode())
    return key


def read_api_key(path: Path) -> str | None:
    """None where there is no file. A file that others can read is an error: the key is no secret any more."""
    hint = f"If nobody else has seen it: chmod 600 {path}; otherwise delete it and run `sgcx up` for a new key"
    content = read_private(path, "The API key file", hint=hint)
    if content is None:
        return None
    key = content.decode(errors="replace").strip()
    if not key:
        raise UserError(f"The API key file {path} is empty", hint="Delete it and run `sgcx up` for a new key")
    return key
