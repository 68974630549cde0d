"""Put our two files into a Codex home: plan (pure reading, with a diff to show), then write.

The profile file `sgcx.config.toml` is layered over the user's `config.toml` by `codex -p sgcx`; the root file is not
touched. The catalog `sgcx-models.json` is named by the profile.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sgcx.codex.config import PROFILE, CodexSettings, apply_settings, build_assignments, remove_settings
from sgcx.codex.files import private_mode, read_if_present, read_mode, replace_file, resolve_target
from sgcx.codex.records import (
    FileRecord,
    digest,
    load_baseline,
    load_records,
    save_baseline,
    save_records,
)
from sgcx.codex.root_config import refuse_other_keys
from sgcx.codex.toml_edit import KeyPath, Value, parse_toml
from sgcx.errors import UserError

_TOKEN_LINE = re.compile(r"(experimental_bearer_token[\"']?\s*=\s*)[^\r\n]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """`before` is None for a file to be made. `keys` are the TOML keys we set; none for the catalog, all of which
    is ours. `diff` may be shown: no token is in it."""

    path: Path
    before: bytes | None
    after: bytes
    diff: str
    keys: Mapping[KeyPath, Value | None]


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Only files that change are in it."""

    files: tuple[FileChange, ...]

    @property
    def diff(self) -> str:
        return "".join(change.diff for change in self.files)


def resolve_codex_home(environ: Mapping[str, str]) -> Path:
    """Where Codex itself looks: `$CODEX_HOME`, else `~/.codex`."""
    named = environ.get("CODEX_HOME")
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    return Path(named).absolute() if named else home / ".codex"


def profile_path(codex_home: Path) -> Path:
    return codex_home.absolute() / f"{PROFILE}.config.toml"


def catalog_path(codex_home: Path) -> Path:
    """Absolute, because Codex does not resolve a relative one against its home."""
    return codex_home.absolute() / f"{PROFILE}-models.json"


def plan_changes(codex_home: Path, settings: CodexSettings, catalog: Mapping[str, object]) -> ChangeSet:
    if codex_home.exists() and not codex_home.is_dir():
        raise UserError(f"{codex_home} is not a folder", hint="Point CODEX_HOME at a folder, or unset it")
    refuse_other_keys(codex_home / "config.toml")
    # The catalog first: at no moment does the profile name a file that is not there.
    changes = (
        _plan_catalog(codex_home, settings, catalog),
        _plan_profile(resolve_target(profile_path(codex_home), inside=codex_home), settings),
    )
    return ChangeSet(tuple(change for change in changes if change.before != change.after))


def write(changes: ChangeSet, backup_dir: Path) -> None:
    """Write the planned files, each with its record first, so that undo knows of every file that could be there."""
    for change in changes.files:
        if read_if_present(change.path) != change.before:
            raise UserError(
                f"{change.path} changed while its new content was being decided",
                hint="Run the command again",
            )
        records = load_records(backup_dir)
        records[change.path] = _next_record(change, records.get(change.path), backup_dir)
        save_records(backup_dir, records)
        replace_file(change.path, change.after, mode=private_mode(read_mode(change.path)))
        _verify(change)


def decode(content: bytes, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} is not valid TOML: line {line} is not UTF-8", hint="Correct that line; nothing was written"
        ) from error


def _plan_profile(path: Path, settings: CodexSettings) -> FileChange:
    before = read_if_present(path)
    after = apply_settings(decode(before or b"", path), settings, name=str(path))
    return _file_change(path, before, after.encode(), build_assignments(settings), settings.bearer_token)


def _plan_catalog(codex_home: Path, settings: CodexSettings, catalog: Mapping[str, object]) -> FileChange:
    path = settings.catalog_path
    if path.parent == codex_home.absolute():
        path = resolve_target(path, inside=codex_home)
    after = json.dumps(catalog, indent=2, ensure_ascii=False) + "\n"
    return _file_change(path, read_if_present(path), after.encode(), {}, None)


def _file_change(
    path: Path, before: bytes | None, after: bytes, keys: Mapping[KeyPath, Value | None], token: str | None
) -> FileChange:
    return FileChange(path=path, before=before, after=after, keys=keys, diff=_render_diff(path, before, after, token))


def _render_diff(path: Path, before: bytes | None, after: bytes, token: str | None) -> str:
    old, new = (before or b"").decode(errors="replace"), after.decode()
    old_name = "/dev/null" if before is None else str(path)
    lines = difflib.unified_diff(
        _redact(old, token).splitlines(), _redact(new, token).splitlines(), old_name, str(path), lineterm=""
    )
    shown = "".join(f"{line}\n" for line in lines)
    if not shown and before is not None and before != after:
        return f"--- {old_name}\n+++ {path}\n(only a hidden key changes)\n"
    return shown


def _redact(text: str, token: str | None) -> str:
    hidden = _TOKEN_LINE.sub(r'\1"<hidden>"', text)
    return hidden.replace(token, "<hidden>") if token else hidden


def _next_record(change: FileChange, previous: FileRecord | None, backup_dir: Path) -> FileRecord:
    """The baseline is what the file would be without us: as it was found, plus what others wrote into it since."""
    written = digest(change.after)
    if previous is None:
        name = None if change.before is None else save_baseline(backup_dir, change.path, change.before)
        return FileRecord(baseline=name, mode=read_mode(change.path), written_sha256=(written,), keys=change.keys)
    keys = {**previous.keys, **change.keys}
    baseline = load_baseline(backup_dir, previous)
    current = change.before
    if current is None or current == baseline or digest(current) in previous.written_sha256:
        shas = (*previous.written_sha256[-1:], written)
        return FileRecord(baseline=previous.baseline, mode=previous.mode, written_sha256=shas, keys=keys)
    without_us = strip_keys(current, baseline, previous.keys, change.path)
    return FileRecord(
        baseline=None if without_us is None else save_baseline(backup_dir, change.path, without_us),
        mode=previous.mode,
        written_sha256=(written,),
        keys=keys,
    )


def strip_keys(
    current: bytes, baseline: bytes | None, keys: Mapping[KeyPath, Value | None], path: Path
) -> bytes | None:
    """The file without our keys; None if there was no file and nothing of anybody else is in it."""
    if not keys:
        return current
    before = None if baseline is None else decode(baseline, path)
    text = remove_settings(decode(current, path), baseline=before, written=keys, name=str(path))
    return None if before is None and not text.strip() else text.encode()


def _verify(change: FileChange) -> None:
    """Read back what is on disk: a full or failing disk shows here rather than in Codex."""
    content = read_if_present(change.path)
    if content != change.after:
        raise UserError(f"{change.path} does not hold what was written", hint="Check the disk, then run again")
    if change.keys:
        parse_toml(content.decode(), name=str(change.path))
