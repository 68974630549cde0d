"""Codex's config file, edited as a guest: our keys go in and come out, everything else stays as it is.

Codex writes into the same file (`[projects]`, `[tui]`, `model_reasoning_effort`), and so may the user, so the file
is never regenerated. This module knows which keys are ours; `toml_edit` puts them in and takes them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sgcx.codex.toml_edit import KeyPath, Plain, Value, edit_toml, find_value, is_same, parse_toml

PROFILE = "sgcx"
"""The profile's name (`codex -p sgcx`) and the provider's id."""

OUR_PROVIDER = ("model_providers", PROFILE)
TOKEN_KEY = (*OUR_PROVIDER, "experimental_bearer_token")

HEADER = (
    "# Made by `sgcx codex-config` for `codex -p sgcx`. `sgcx codex-config --undo` takes it back.\n"
    "# You and Codex may add settings here: sgcx changes only its own keys.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodexSettings:
    """`base_url` ends with `/v1`. Without `bearer_token` (a server started with --no-auth) no token is written."""

    base_url: str
    model: str
    catalog_path: Path
    bearer_token: str | None = field(default=None, repr=False)
    # The first token of a long prompt can take minutes on a model that is partly in CPU memory.
    stream_idle_timeout_ms: int = 600_000


def build_assignments(settings: CodexSettings) -> dict[KeyPath, Value | None]:
    """Our keys, in the order in which a new file lists them. docs/codex.md gives the reason for each."""
    provider: dict[str, Value | None] = {
        "name": "SGLang (sgcx)",
        "base_url": settings.base_url,
        "wire_api": "responses",
        "experimental_bearer_token": settings.bearer_token,
        # Codex would not start without that variable.
        "env_key": None,
        "request_max_retries": 4,
        "stream_max_retries": 5,
        "stream_idle_timeout_ms": settings.stream_idle_timeout_ms,
        "supports_websockets": False,
        "requires_openai_auth": False,
    }
    return {
        ("model",): settings.model,
        ("model_provider",): PROFILE,
        ("model_catalog_json",): str(settings.catalog_path),
        ("show_raw_agent_reasoning",): True,
        ("web_search",): "disabled",
        ("check_for_update_on_startup",): False,
        ("allow_login_shell",): False,
        **{(*OUR_PROVIDER, key): value for key, value in provider.items()},
        ("features", "goals"): False,
        ("features", "plugins"): False,
        ("features", "daemon_auto_start"): False,
        ("features", "unbounded_connection_retries"): False,
        ("analytics", "enabled"): False,
        ("skills", "bundled", "enabled"): False,
        ("tools", "update_plan", "enabled"): True,
        ("mcp_servers", "codex_tui", "command"): "disabled",
        ("mcp_servers", "codex_tui", "enabled"): False,
    }


def apply_settings(text: str, settings: CodexSettings, *, name: str = "config.toml") -> str:
    """The file's text with our keys in it; the same text when they are there already. `name` is for messages."""
    edited = edit_toml(text, build_assignments(settings), name=name)
    return edited if text.strip() else HEADER + edited.lstrip("\n")


def remove_settings(
    text: str, *, baseline: str | None, written: Mapping[KeyPath, Value | None], name: str = "config.toml"
) -> str:
    """Take `written` out of a file that others have edited since; `baseline` is its text before we came.

    A key that existed before gets its old value back. A key that no longer holds what we wrote is somebody else's
    now and stays, except in our own provider table and for the model chosen for it: those mean nothing without us.
    """
    before = {} if baseline is None else parse_toml(baseline, name=name)
    current = parse_toml(text, name=name)
    changes = {
        path: find_value(before, path) for path, value in written.items() if _is_still_ours(current, path, value)
    }
    edited = edit_toml(text, changes, name=name, keep_empty=before)
    if not (baseline or "").startswith(HEADER):
        edited = edited.removeprefix(HEADER)
    return edited if edited == text else _trim_blank_ends(edited)


def _is_still_ours(current: Plain, path: KeyPath, written: Value | None) -> bool:
    if path[: len(OUR_PROVIDER)] == OUR_PROVIDER:
        return True
    if path == ("model",):
        return path[0] in current and current.get("model_provider") == PROFILE
    return is_same(find_value(current, path), written)


def _trim_blank_ends(text: str) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    trimmed = text.strip("\r\n")
    return f"{trimmed}{newline}" if trimmed else ""
