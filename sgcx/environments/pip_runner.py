"""Runs the environment's own pip and turns its failures into sentences.

The user's pip configuration (index, proxy, certificates, cache) is respected; only what would send packages
elsewhere than into this environment is taken out of it.
"""

from __future__ import annotations

import os
import selectors
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from sgcx.environments.engine_specs import EngineDirectory
from sgcx.environments.install_lock import name_owner
from sgcx.environments.install_progress import InstallProgress, PipOutputReader
from sgcx.errors import LaunchFailed, SgcxError, UserError

_ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_LOG", "PIP_REPORT", "PIP_DRY_RUN", "PIP_PYTHON")
_FIRST_PIP_WITH_RAW_PROGRESS = Version("24.1")
_LOOK_AGAIN_S = 1.0
_END_GRACE_S = 10
_TAIL_LINES = 30

_DISK_FULL = ("No space left on device", "[Errno 28]", "Disk quota exceeded", "[Errno 122]")
_UNREACHABLE = (
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "NameResolutionError",
    "ProxyError",
    "SSLError",
    "Temporary failure in name resolution",
    "Connection refused",
    "Network is unreachable",
)
_WRONG_HASH = "DO NOT MATCH THE HASHES"
_NOT_FOUND = "No matching distribution found for "


@dataclass(frozen=True, slots=True)
class PipRun:
    engine: EngineDirectory
    arguments: Sequence[str]
    lock_descriptor: int
    """Inherited by pip, so that the lock is held until pip is gone too."""


def run_pip(run: PipRun, reader: PipOutputReader, on_progress: Callable[[InstallProgress], None]) -> None:
    """Runs `pip install` with these arguments and returns when it has succeeded."""
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    with _start(run) as process, run.engine.pip_log.open("a", encoding="utf-8") as log:
        name_owner(run.lock_descriptor, process.pid)
        try:
            for line in _lines(process):
                changed = reader.installed(_count_installed(run.engine)) if line is None else reader.feed(line)
                if changed is not None:
                    on_progress(changed)
                if line and not line.startswith("Progress "):
                    tail.append(line)
                    log.write(f"{line}\n")
        except BaseException:
            _end(process)
            raise
    name_owner(run.lock_descriptor, os.getpid())
    if process.returncode != 0:
        raise explain_failure(run.engine, tuple(tail), process.returncode)


def _start(run: PipRun) -> subprocess.Popen[bytes]:
    run.engine.temporary.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    # On the engine's own disk, whose free space was checked; /tmp is often small.
    environment["TMPDIR"] = str(run.engine.temporary)
    environment["PIP_USER"] = "0"  # overrides a `user = true` in the configuration file
    command = [str(run.engine.python), "-I", "-u", "-m", "pip", "install", "--no-input", *run.arguments]
    command += ["--disable-pip-version-check", "--no-warn-script-location", "--no-compile"]
    command += ["--progress-bar", "raw" if _reports_bytes(run.engine) else "off"]
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(run.lock_descriptor,),
    )


def _reports_bytes(engine: EngineDirectory) -> bool:
    """The pip that comes with a virtual environment may be too old for it; the lock's is not."""
    site_packages = engine.site_packages()
    found = site_packages.glob("pip-*.dist-info") if site_packages else iter(())
    versions = [Version(path.name.removeprefix("pip-").removesuffix(".dist-info")) for path in found]
    return any(version >= _FIRST_PIP_WITH_RAW_PROGRESS for version in versions)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str | None]:
    """pip's lines, and None whenever it has been silent for a moment."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    unfinished = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(_LOOK_AGAIN_S):
                yield None
                continue
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                break
            *lines, unfinished = (unfinished + chunk).split(b"\n")
            yield from (line.decode("utf-8", errors="replace").rstrip("\r") for line in lines)
    if unfinished:
        yield unfinished.decode("utf-8", errors="replace")


def _count_installed(engine: EngineDirectory) -> int:
    site_packages = engine.site_packages()
    return sum(1 for _ in site_packages.glob("*.dist-info")) if site_packages else 0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def explain_failure(engine: EngineDirectory, tail: tuple[str, ...], returncode: int) -> SgcxError:
    text = "\n".join(tail)
    if names_full_disk(text):
        return disk_full(engine.path)
    if _WRONG_HASH in text:
        return UserError(
            "A downloaded package is not the file that the lock names",
            hint=f"Check the package index in pip's configuration; the names are in {engine.pip_log}",
        )
    if any(sign in text for sign in _UNREACHABLE):
        return UserError(
            "pip could not reach the package index",
            hint=f"Check the network, or index-url and proxy in pip's configuration; details in {engine.pip_log}",
        )
    if _NOT_FOUND in text:
        wanted = text.partition(_NOT_FOUND)[2].split()[0]
        return UserError(
            f"The package index has no {wanted} for this machine",
            hint="Python 3.11 or 3.12 on 64-bit Linux has ready-made packages; check index-url in pip's configuration",
        )
    return LaunchFailed(
        f"pip failed with exit status {returncode}",
        hint="The last lines of its output say why",
        log_tail=tail,
        log_path=str(engine.pip_log),
    )


def names_full_disk(output: str) -> bool:
    return any(sign in output for sign in _DISK_FULL)


def disk_full(path: Path) -> UserError:
    return UserError(
        f"The disk that holds {path} became full during the installation",
        hint="Make room, or set SGCX_HOME to a folder on a larger disk, and install again",
    )
