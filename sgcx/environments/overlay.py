"""The folder that stands first on the engine's search path.

It holds links to the running sgcx package, to the metadata by which SGLang finds its plugin, and, for a CPU, to the
shims; so the engine's Python imports exactly these and nothing else of the Python that sgcx runs in. One folder per
sgcx installation, never changed once it is there: two of them can serve from the same engine at the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from sgcx.environments.engine_specs import Accelerator

RUNNING_SGCX = Path(__file__).resolve().parent.parent
_SHIMS = ("torchvision", "sgl_kernel")
_METADATA = "sgcx-0.dist-info"
"""Python reads entry points from folders with such names only."""
_NOT_INHERITED = ("PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
"""The last one keeps a user's own trees clean; the engine is ours, and without bytecode imports take twice as long."""


def write_overlay(engine_dir: Path, sgcx_package_dir: Path, accelerator: Accelerator) -> Path:
    """Makes the overlay, or leaves it if it is right, and returns the folder for PYTHONPATH."""
    targets = {"sgcx": sgcx_package_dir, _METADATA: sgcx_package_dir / "server" / "plugin_metadata"}
    if accelerator == "cpu":
        targets |= {name: sgcx_package_dir / "engines" / "cpu_shims" / name for name in _SHIMS}
    digest = hashlib.sha256(repr(sorted(targets.items())).encode()).hexdigest()[:12]
    overlay = engine_dir / "overlay" / digest
    if _links(overlay) != targets:
        _replace_directory(overlay, targets)
    return overlay


def _links(overlay: Path) -> dict[str, Path]:
    if not overlay.is_dir():
        return {}
    return {entry.name: entry.readlink() for entry in overlay.iterdir() if entry.is_symlink()}


def _replace_directory(overlay: Path, targets: dict[str, Path]) -> None:
    overlay.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".new.", dir=overlay.parent))
    try:
        made.chmod(0o755)
        for name, target in targets.items():
            (made / name).symlink_to(target)
        _put_in_place(made, overlay)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _put_in_place(made: Path, overlay: Path) -> None:
    try:
        made.rename(overlay)
    except OSError:
        if _links(overlay) == _links(made):  # another process was as quick
            return
        damaged = Path(tempfile.mkdtemp(prefix=".old.", dir=overlay.parent))
        with contextlib.suppress(FileNotFoundError):
            overlay.rename(damaged / "overlay")
        made.rename(overlay)
        shutil.rmtree(damaged, ignore_errors=True)


def engine_environment(accelerator: Accelerator, overlay: Path) -> dict[str, str]:
    """This process's environment, changed so that the engine's Python sees the overlay and its own packages only."""
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    # Safe path: without it a folder named `torch` in the current directory would be imported.
    environment |= {"PYTHONPATH": str(overlay), "PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1"}
    if accelerator == "cpu":
        environment["SGLANG_USE_CPU_ENGINE"] = "1"
    return environment
