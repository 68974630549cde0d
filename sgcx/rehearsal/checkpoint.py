"""Makes the rehearsal checkpoint: `python -m sgcx.rehearsal.checkpoint DIRECTORY`, with the engine's Python.

The functions at the top need nothing but the standard library, so a parent process can ask whether a checkpoint
is current without importing torch. The directory appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from sgcx.errors import LaunchFailed, SgcxError, UserError

FORMAT_VERSION = 1
MARKER = "sgcx-rehearsal.json"
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
_SOURCES = ("chat_template.jinja", "checkpoint.py", "markers.py", "tokenizer.py", "weights.py")


def fingerprint() -> str:
    """Changes whenever a checkpoint made now would differ from one made before."""
    digest = hashlib.sha256(str(FORMAT_VERSION).encode())
    for name in _SOURCES:
        digest.update(name.encode() + b"\0" + Path(__file__).with_name(name).read_bytes() + b"\0")
    return digest.hexdigest()


def checkpoint_is_current(directory: Path) -> bool:
    try:
        marker = json.loads((directory / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(marker, dict) and marker.get("fingerprint") == fingerprint()


def build(directory: Path) -> None:
    """Make the checkpoint beside `directory`, then put it in place of what is there."""
    directory = directory.absolute()
    if directory.exists() and not (directory / MARKER).exists() and any(directory.iterdir()):
        raise UserError(
            f"{directory} exists and is not a rehearsal checkpoint", hint="Name another directory, or remove this one"
        )
    directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        made = scratch / "made"
        made.mkdir()
        _write(made)
        _replace(directory, made, retired=scratch / "retired")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(directory: Path) -> None:
    from sgcx.rehearsal import markers, tokenizer, weights

    tokenizer.write_tokenizer(directory, context_length=weights.CONTEXT_LENGTH)
    shutil.copyfile(TEMPLATE, directory / TEMPLATE.name)
    weights.write_weights(directory)
    weights.write_configuration(
        directory,
        begin_id=tokenizer.token_id(directory, "[BOS]"),
        end_id=tokenizer.token_id(directory, markers.END),
        padding_id=tokenizer.token_id(directory, "[PAD]"),
    )
    marker = {"format": FORMAT_VERSION, "fingerprint": fingerprint()}
    (directory / MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")
    for path in directory.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _replace(directory: Path, made: Path, *, retired: Path) -> None:
    if directory.exists():
        directory.rename(retired)
    try:
        made.rename(directory)
    except OSError as error:
        raise LaunchFailed(f"{directory} could not be put in place: {error}") from error


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m sgcx.rehearsal.checkpoint DIRECTORY\n")
        return 2
    try:
        build(Path(arguments[0]))
    except SgcxError as error:
        sys.stderr.write(f"{error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
