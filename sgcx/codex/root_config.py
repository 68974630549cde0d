"""The user's own `config.toml`: Codex lays our profile over it key by key, so what ours does not say is said there."""

from __future__ import annotations

from pathlib import Path

from sgcx.codex.config import OUR_PROVIDER
from sgcx.codex.files import read_if_present
from sgcx.codex.toml_edit import find_value, parse_toml
from sgcx.errors import UserError

_OTHER_KEYS = ("env_key", "auth")
"""Other ways to a provider's key. With one of them beside ours Codex does not start."""


def refuse_other_keys(path: Path) -> None:
    """Raises UserError. A file that is no TOML is left to Codex, which refuses it with and without our profile."""
    try:
        settings = parse_toml((read_if_present(path) or b"").decode(), name=str(path))
    except (UserError, UnicodeDecodeError):
        return
    for key in _OTHER_KEYS:
        if find_value(settings, (*OUR_PROVIDER, key)) is not None:
            provider = ".".join(OUR_PROVIDER)
            raise UserError(
                f"`{provider}.{key}` in {path} would stay in force under sgcx's profile, and Codex would not start",
                hint=f"Remove [{provider}] from that file, or give it another name: the profile has its own",
            )
