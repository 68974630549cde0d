"""Files that hold a secret: read only where nobody else can read them."""

from __future__ import annotations

from pathlib import Path

from sgcx.errors import UserError

_OTHERS = 0o077


def read_private(path: Path, what: str, *, hint: str) -> bytes | None:
    """None where there is no file. `what` it is, for the UserError; `hint`: what to do once others could read it."""
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read: {error.strerror}") from error
    if mode & _OTHERS:
        raise UserError(f"{what} {path} can be read by others (mode {mode & 0o777:o})", hint=hint)
    return content


def is_private(path: Path) -> bool:
    return not path.stat().st_mode & _OTHERS
