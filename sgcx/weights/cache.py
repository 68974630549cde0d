"""The hub client's cache, read and cleaned. Its layout is public:

<cache>/models--<owner>--<model>/  blobs/<hash>  refs/<branch>  snapshots/<commit>/<file> → blobs
<cache>/.locks/models--<owner>--<model>/<hash>.lock   held while that blob is downloaded
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sgcx.errors import UserError
from sgcx.file_locks import is_locked
from sgcx.weights.listing import Listing, RepositoryFile
from sgcx.weights.safetensors import read_header, shard_paths

_PREFIX = "models--"
_ABANDONED = re.compile(r"(?P<hash>[0-9a-f]+)\.[0-9a-f]{8}\.incomplete")
"""A download in pieces under a name of its own, which nobody can continue. `<hash>.incomplete` can be continued."""


@dataclass(frozen=True, slots=True)
class CachedModel:
    """`revision`: the commit that `main` means here, or the newest there is; None before any file is complete."""

    repository: str
    folder: Path
    revision: str | None
    size_bytes: int
    partial_bytes: int
    """Of files whose download was interrupted; part of the size."""
    complete: bool
    last_used_at: float


class HubCache:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def folder(self, repository: str) -> Path:
        return self.directory / (_PREFIX + repository.replace("/", "--"))

    def snapshot(self, repository: str, revision: str | None) -> Path | None:
        """The folder of that commit, or of what `main` was when it was last asked for. It may be incomplete."""
        folder = self.folder(repository)
        commit = revision or _read_text(folder / "refs" / "main")
        found = folder / "snapshots" / commit if commit else None
        return found if found is not None and found.is_dir() else None

    def complete_snapshot(self, repository: str, revision: str | None) -> Path | None:
        found = self.snapshot(repository, revision)
        return found if found is not None and is_complete(found) else None

    def missing(self, listing: Listing) -> tuple[RepositoryFile, ...]:
        """Files whose content is not there in its whole length."""
        blobs = self.folder(listing.repository) / "blobs"
        return tuple(file for file in listing.files if _size(blobs / file.blob_name) != file.size_bytes)

    def present_bytes(self, listing: Listing) -> int:
        """What has arrived of these files, pieces included: it grows while a download runs."""
        wanted = {file.blob_name: file.size_bytes for file in listing.files}
        arrived = dict.fromkeys(wanted, 0)
        for blob in _files(self.folder(listing.repository) / "blobs"):
            name = blob.name.split(".")[0]
            if name in wanted:
                # A file being written may have its whole length from the beginning: count what the disk holds.
                status = _status(blob)
                written = min(status.st_size, status.st_blocks * 512) if status else 0
                whole = status.st_size if status is not None and blob.name == name else written
                arrived[name] = max(arrived[name], min(whole, wanted[name]))
        return sum(arrived.values())

    def models(self) -> tuple[CachedModel, ...]:
        folders = sorted(self.directory.glob(f"{_PREFIX}*")) if self.directory.is_dir() else []
        return tuple(self._describe(folder) for folder in folders if folder.is_dir())

    def is_being_downloaded(self, repository: str) -> bool:
        return any(_is_locked(path) for path in _files(self._locks(repository)))

    def remove_abandoned(self, repository: str) -> None:
        """Pieces that an ended download left and no later one can use; those of a running one are locked."""
        for blob in _files(self.folder(repository) / "blobs"):
            match = _ABANDONED.fullmatch(blob.name)
            if match is not None and not _is_locked(self._locks(repository) / f"{match['hash']}.lock"):
                blob.unlink(missing_ok=True)

    def remove_file(self, listing: Listing, file: RepositoryFile) -> None:
        folder = self.folder(listing.repository)
        (folder / "snapshots" / listing.commit / file.path).unlink(missing_ok=True)
        (folder / "blobs" / file.blob_name).unlink(missing_ok=True)

    def remove(self, repository: str) -> None:
        """Renamed first: what an interrupted removal leaves is no model that lacks files."""
        folder = self.folder(repository)
        doomed = folder.with_name(f".removed-{folder.name}")
        shutil.rmtree(doomed, ignore_errors=True)
        if folder.exists():
            folder.replace(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        shutil.rmtree(self._locks(repository), ignore_errors=True)

    def _locks(self, repository: str) -> Path:
        return self.directory / ".locks" / self.folder(repository).name

    def _describe(self, folder: Path) -> CachedModel:
        repository = folder.name.removeprefix(_PREFIX).replace("--", "/")
        sizes = {blob: status for blob in _files(folder / "blobs") if (status := _status(blob)) is not None}
        snapshots = sorted((path for path in (folder / "snapshots").glob("*") if path.is_dir()), key=_modified)
        revision = _read_text(folder / "refs" / "main") or (snapshots[-1].name if snapshots else None)
        return CachedModel(
            repository=repository,
            folder=folder,
            revision=revision,
            size_bytes=sum(status.st_size for status in sizes.values()),
            partial_bytes=sum(status.st_size for blob, status in sizes.items() if blob.suffix == ".incomplete"),
            complete=revision is not None and is_complete(folder / "snapshots" / revision),
            last_used_at=max((status.st_atime for status in sizes.values()), default=_modified(folder)),
        )


def is_complete(snapshot: Path) -> bool:
    """Without asking the hub: every shard that the index names is there, as long as its own header says."""
    if not (snapshot / "config.json").is_file():
        return False
    try:
        shards = shard_paths(snapshot)
        return bool(shards) and all(map(_is_whole, shards))
    except UserError:
        return False


def _is_whole(shard: Path) -> bool:
    return _size(shard) == read_header(shard).file_bytes


def _is_locked(lock: Path) -> bool:
    """Another user's lock tells nothing."""
    try:
        return is_locked(lock)
    except PermissionError:
        return False


def _files(folder: Path) -> Iterator[Path]:
    children: Iterable[Path] = ()
    with suppress(OSError):
        children = tuple(folder.iterdir())
    return (path for path in children if path.is_file())


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # moved to its final name meanwhile
        return None


def _size(path: Path) -> int | None:
    status = _status(path)
    return None if status is None else status.st_size


def _modified(path: Path) -> float:
    status = _status(path)
    return 0.0 if status is None else status.st_mtime


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None
