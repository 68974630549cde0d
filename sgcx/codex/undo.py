"""Leave a Codex home as it was found: byte for byte where nobody else wrote since, else without our keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from sgcx.codex.files import private_mode, read_if_present, read_mode, remove_file, replace_file
from sgcx.codex.installation import strip_keys
from sgcx.codex.records import FileRecord, digest, load_baseline, load_records, save_records

Outcome: TypeAlias = Literal["restored", "removed", "edited", "kept", "untouched"]
"""restored: the original is back. removed: there was no file before. edited: only our keys were taken out, because
others wrote into the file since. kept: our catalog, edited by somebody. untouched: it was as found already."""


@dataclass(frozen=True, slots=True)
class UndoneFile:
    path: Path
    outcome: Outcome


def undo(codex_home: Path, backup_dir: Path) -> tuple[UndoneFile, ...]:
    """Empty when sgcx has written nothing into this home. The profile goes before the catalog that it names."""
    home = codex_home.resolve()
    records = load_records(backup_dir)
    ours = sorted((path for path in records if path.resolve().is_relative_to(home)), key=lambda p: not records[p].keys)
    done = []
    for path in ours:
        done.append(UndoneFile(path, _undo_file(path, records[path], backup_dir)))
        record = records.pop(path)
        save_records(backup_dir, records)
        if record.baseline is not None:
            remove_file(backup_dir / record.baseline)
    return tuple(done)


def _undo_file(path: Path, record: FileRecord, backup_dir: Path) -> Outcome:
    current, baseline = read_if_present(path), load_baseline(backup_dir, record)
    if current == baseline:
        return "untouched"
    if current is None or digest(current) in record.written_sha256:
        return _put_back(path, baseline, record)
    if not record.keys:
        return "kept"
    without_us = strip_keys(current, baseline, record.keys, path)
    if without_us is None or without_us == baseline:
        return _put_back(path, without_us, record)
    replace_file(path, without_us, mode=_mode_without_us(path, record))
    return "edited"


def _put_back(path: Path, baseline: bytes | None, record: FileRecord) -> Outcome:
    if baseline is None:
        remove_file(path)
        return "removed"
    replace_file(path, baseline, mode=_mode_without_us(path, record))
    return "restored"


def _mode_without_us(path: Path, record: FileRecord) -> int:
    return private_mode(read_mode(path)) if record.mode is None else record.mode
