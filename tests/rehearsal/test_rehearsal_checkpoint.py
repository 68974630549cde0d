"""Whether a checkpoint is current can be told without torch, and nobody else's directory is overwritten."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sgcx.errors import UserError
from sgcx.rehearsal import checkpoint


def test_a_checkpoint_is_current_only_with_the_fingerprint_of_these_sources(tmp_path: Path) -> None:
    assert not checkpoint.checkpoint_is_current(tmp_path)
    marker = tmp_path / checkpoint.MARKER
    marker.write_text(json.dumps({"fingerprint": checkpoint.fingerprint()}))
    assert checkpoint.checkpoint_is_current(tmp_path)
    marker.write_text(json.dumps({"fingerprint": "older"}))
    assert not checkpoint.checkpoint_is_current(tmp_path)
    marker.write_text("[")
    assert not checkpoint.checkpoint_is_current(tmp_path)


def test_a_directory_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="is not a rehearsal checkpoint"):
        checkpoint.build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_parent_needs_only_the_standard_library() -> None:
    code = (
        "import sys, sgcx.rehearsal.checkpoint, sgcx.rehearsal.playback;"
        "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {root()!r}); {code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert set(done.stdout.split()) <= {"sgcx", "__main__"}


def root() -> str:
    return str(Path(checkpoint.__file__).parents[2])
