"""A patched SGLang that leaves the installed one as it was published.

A view is a folder that holds a `sglang` package for the front of Python's search path: the patched files are there,
everything else is a link to the installed package. Its name is a digest of what is in it and a finished view is
never changed, so servers of different sgcx versions, with different patches, run from one engine at the same time.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from sgcx.atomic_write import write_atomically
from sgcx.engines.patches.installation import SglangInstallation
from sgcx.engines.patches.patching import patched_files

_PACKAGE = PurePosixPath("sglang")
_COMPILED = "__pycache__"


def write_view(installation: SglangInstallation, folder: Path, *, without: frozenset[str] = frozenset()) -> Path:
    """Makes the view in `folder` unless it is there, and returns the directory for PYTHONPATH.

    It holds all patches but those named in `without`. Raises UserError where a file is not the published one.
    """
    contents = {PurePosixPath(name): content for name, content in patched_files(installation, without).items()}
    root = installation.root.resolve()
    parts = dict(_parts(root, _PACKAGE, contents))
    view = folder / _digest(parts)
    if not view.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _write(view, parts)
    return view


def _parts(
    root: Path, directory: PurePosixPath, contents: Mapping[PurePosixPath, bytes]
) -> Iterator[tuple[PurePosixPath, bytes | Path]]:
    """Every file to write, with its content, and every link, with its target."""
    opened = {parent for path in contents for parent in path.parents}
    for entry in sorted((root / directory).iterdir()):
        path = directory / entry.name
        if path in opened:
            yield from _parts(root, path, contents)
        elif entry.name != _COMPILED:
            yield path, contents.get(path, entry)


def _digest(parts: Mapping[PurePosixPath, bytes | Path]) -> str:
    digest = hashlib.sha256()
    for path, part in parts.items():
        digest.update(hashlib.sha256(part if isinstance(part, bytes) else str(part).encode()).digest())
        digest.update(f"{path}\0".encode())
    return digest.hexdigest()[:12]


def _write(view: Path, parts: Mapping[PurePosixPath, bytes | Path]) -> None:
    made = Path(tempfile.mkdtemp(prefix=".new.", dir=view.parent))
    try:
        made.chmod(0o755)
        for path, part in parts.items():
            target = made / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(part, bytes):
                write_atomically(target, part, mode=0o644)
            else:
                target.symlink_to(part)
        try:
            made.rename(view)
        except OSError:
            if not view.is_dir():  # else another process was as quick, with the same content
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
