"""Which engine environments sgcx knows, and where the parts of one lie on disk."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from sgcx.byte_sizes import GIB
from sgcx.errors import UserError

Accelerator = Literal["cpu", "cuda"]

_LOCKS = Path(str(files("sgcx.engines"))) / "locks"


@dataclass(frozen=True, slots=True)
class EngineSpec:
    name: str
    sglang_version: str
    accelerator: Accelerator
    lock: Path
    minimum_free_bytes: int
    newest_python: tuple[int, int]
    """The lock has packages for Python 3.11 up to this one."""
    proof_module: str = "sglang.srt.entrypoints.http_server"
    """What the finished environment must be able to import."""


@dataclass(frozen=True, slots=True)
class EngineDirectory:
    """`marker` is written last: without it, the environment is half made."""

    path: Path

    @classmethod
    def of(cls, spec: EngineSpec, engines_dir: Path) -> EngineDirectory:
        return cls(engines_dir / spec.name)

    @property
    def marker(self) -> Path:
        return self.path / "engine.json"

    @property
    def venv(self) -> Path:
        return self.path / "venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def pip_log(self) -> Path:
        return self.path / "pip.log"

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    @property
    def lock_file(self) -> Path:
        """Beside the directory, so that it outlives a removal: a lock on a deleted file excludes nobody."""
        return self.path.with_name(f".{self.path.name}.lock")

    def site_packages(self) -> Path | None:
        """None while there is no virtual environment, or more than one Python in it."""
        found = list(self.venv.glob("lib/python3.*/site-packages"))
        return found[0] if len(found) == 1 else None


def list_specs() -> tuple[EngineSpec, ...]:
    """The first of an accelerator is the one that sgcx takes unless told otherwise."""
    return (
        _cpu_spec("0.5.10.post1"),
        EngineSpec(
            name="sglang-0.5.10.post1-cu129",
            sglang_version="0.5.10.post1",
            accelerator="cuda",
            lock=_LOCKS / "sglang-0.5.10.post1-cu129.txt",
            minimum_free_bytes=15 * GIB,
            newest_python=(3, 12),
        ),
        _cpu_spec("0.5.11"),
        _cpu_spec("0.5.16"),
        _cpu_spec("0.5.20"),
        _cpu_spec("0.5.23"),
    )


def _cpu_spec(sglang_version: str) -> EngineSpec:
    name = f"sglang-{sglang_version}-cpu"
    return EngineSpec(
        name=name,
        sglang_version=sglang_version,
        accelerator="cpu",
        lock=_LOCKS / f"{name}.txt",
        minimum_free_bytes=4 * GIB,
        newest_python=(3, 13),
    )


def find_spec(name: str) -> EngineSpec:
    for spec in list_specs():
        if spec.name == name:
            return spec
    raise UserError(f"There is no engine {name!r}", hint=f"Engines: {', '.join(spec.name for spec in list_specs())}")
