"""`sgcx codex-config` and `sgcx codex`: point Codex at a server, take that back, run it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sgcx.codex.catalog import build_catalog
from sgcx.codex.config import CodexSettings
from sgcx.codex.installation import (
    ChangeSet,
    catalog_path,
    plan_changes,
    profile_path,
    resolve_codex_home,
    write,
)
from sgcx.codex.undo import UndoneFile, undo
from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.profiles import load_profile
from sgcx.server.api_key import read_api_key
from sgcx.server.child_config import CONFIG_NAME, load_child_config
from sgcx.server.records import ServerRecord
from sgcx.workflows.catalog import catalog_model


@dataclass(frozen=True, slots=True)
class CodexChange:
    """What `codex-config` would write. Nothing has been written yet."""

    home: Path
    changes: ChangeSet


def plan_codex_config(record: ServerRecord, paths: Paths) -> CodexChange:
    profile = load_profile(record.profile, paths.user_profiles)
    home = resolve_codex_home(os.environ)
    settings = CodexSettings(
        base_url=record.base_url,
        model=record.served_model_name,
        catalog_path=catalog_path(home),
        bearer_token=server_key(record, paths),
    )
    catalog = build_catalog([catalog_model(profile, record.context_length or profile.max_context_length)])
    return CodexChange(home, plan_changes(home, settings, catalog))


def write_codex_config(change: CodexChange, paths: Paths) -> None:
    write(change.changes, backup_directory(paths))


def undo_codex_config(paths: Paths) -> tuple[UndoneFile, ...]:
    return undo(resolve_codex_home(os.environ), backup_directory(paths))


def is_configured() -> bool:
    return profile_path(resolve_codex_home(os.environ)).exists()


def backup_directory(paths: Paths) -> Path:
    return paths.state / "codex"


def server_key(record: ServerRecord, paths: Paths) -> str | None:
    """The key that this server was started with; None for one that asks for none."""
    if load_child_config(record.server_dir / CONFIG_NAME).api_key_path is None:
        return None
    key = read_api_key(paths.api_key)
    if key is None:
        raise UserError(
            f"The API key file {paths.api_key} is gone", hint="Restart the server: `sgcx down`, then `sgcx up`"
        )
    return key
