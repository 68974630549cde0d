"""What sgcx remembers of its visit to a Codex home, so that undo can leave everything as it was found.

One JSON file for all homes, with a backup beside it for each file that existed. Both may hold keys: mode 0600.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sgcx.codex.config import TOKEN_KEY
from sgcx.codex.files import PRIVATE_MODE, read_if_present, remove_file, replace_file
from sgcx.codex.toml_edit import KeyPath, Value
from sgcx.errors import UserError

STATE_FILE = "codex-files.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """`baseline` names the backup of the file without us, None if there was no file; `written_sha256` lists the
    last two contents that we wrote (two, because a crash can leave either); `keys` are the TOML keys among them."""

    baseline: str | None
    mode: int | None
    written_sha256: tuple[str, ...]
    keys: Mapping[KeyPath, Value | None] = field(default_factory=dict)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def load_records(backup_dir: Path) -> dict[Path, FileRecord]:
    path = backup_dir / STATE_FILE
    content = read_if_present(path)
    if content is None:
        return {}
    try:
        files = json.loads(content)["files"]
        return {Path(name): _parse_record(record) for name, record in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged, so what Codex's files held before is not known",
            hint=f"The originals, if there were any, lie beside it in {backup_dir}; remove {path.name} to start anew",
        ) from error


def save_records(backup_dir: Path, records: Mapping[Path, FileRecord]) -> None:
    path = backup_dir / STATE_FILE
    if not records:
        remove_file(path)
        return
    files = {str(name): _render_record(record) for name, record in records.items()}
    content = json.dumps({"version": 1, "files": files}, indent=2)
    replace_file(path, f"{content}\n".encode(), mode=PRIVATE_MODE)


def save_baseline(backup_dir: Path, path: Path, content: bytes) -> str:
    """The name carries the path and the content, so one backup never overwrites another."""
    name = f"{path.name}.{digest(str(path).encode())[:8]}.{digest(content)[:8]}"
    replace_file(backup_dir / name, content, mode=PRIVATE_MODE)
    return name


def load_baseline(backup_dir: Path, record: FileRecord) -> bytes | None:
    if record.baseline is None:
        return None
    content = read_if_present(backup_dir / record.baseline)
    if content is None:
        raise UserError(
            f"The backup {backup_dir / record.baseline} is gone, so the original cannot be restored",
            hint="Remove sgcx's keys by hand; docs/codex.md lists them",
        )
    return content


def _render_record(record: FileRecord) -> dict[str, object]:
    keys = {path: None if path == TOKEN_KEY else value for path, value in record.keys.items()}
    return {
        "baseline": record.baseline,
        "mode": record.mode,
        "written_sha256": list(record.written_sha256),
        "keys": [[list(path), value] for path, value in keys.items()],
    }


def _parse_record(record: object) -> FileRecord:
    if not isinstance(record, dict):
        raise TypeError("a record is an object")
    baseline, mode, written, keys = (record[key] for key in ("baseline", "mode", "written_sha256", "keys"))
    if not (baseline is None or isinstance(baseline, str)) or not (mode is None or isinstance(mode, int)):
        raise TypeError("baseline is a name, mode a number")
    return FileRecord(
        baseline=baseline,
        mode=mode,
        written_sha256=tuple(str(item) for item in written),
        keys={tuple(str(part) for part in path): _parse_value(value) for path, value in keys},
    )


def _parse_value(value: object) -> Value | None:
    if value is None or isinstance(value, str | int | bool):
        return value
    raise TypeError("a key holds a string, a number or a truth value")
