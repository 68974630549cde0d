"""A patched SGLang with the Responses endpoint in its process, on a GPU, without sgcx's own engine environments."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from sgcx.codex.catalog import CatalogModel, catalog_entries
from sgcx.server.child_config import ChildConfig
from sgcx.server.launch_progress import LaunchFacts, LaunchProgress

MODEL = "bench"
_READY_S = 420
_STOP_S = 30
WITHOUT_MULTICAST = ("--enforce-disable-flashinfer-allreduce-fusion",)
"""The fused all-reduce may use NVLink multicast, which hosts that share their GPUs do not allow."""


@dataclass(frozen=True)
class Server:
    base_url: str
    log: Path
    process: psutil.Process
    facts: LaunchFacts
    stage_seconds: Mapping[str, float]

    def cpu_seconds(self) -> float:
        """Of the API process alone: the scheduler and the detokenizer are its children."""
        spent = self.process.cpu_times()
        return spent.user + spent.system


class ServerFailed(Exception):
    """The server ended, or was not ready in time; the message holds the end of its log."""


def child_config(
    argv: Sequence[str], *, context_length: int, dialect: str = "kimi_k2", catalog: Sequence[CatalogModel] = ()
) -> ChildConfig:
    return ChildConfig(
        sglang_argv=tuple(argv),
        dialect=dialect,
        served_model_name=MODEL,
        context_length=context_length,
        images=False,
        always_thinks=False,
        thinking_temperature=0.0,
        thinking_top_p=1.0,
        instant_temperature=0.0,
        instant_top_p=1.0,
        api_key_path=None,
        catalog=tuple(catalog_entries(catalog)),
    )


@contextmanager
def serving(
    directory: Path,
    argv: Sequence[str],
    *,
    port: int,
    context_length: int = 131072,
    catalog: Sequence[CatalogModel] = (),
    **environment: str,
) -> Iterator[Server]:
    """Ready on entry, gone on exit. `environment`: on top of this process's own."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "child.json"
    base_argv = ["--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port)]
    told = child_config([*argv, *base_argv], context_length=context_length, catalog=catalog)
    config.write_text(told.to_json())
    with started(directory, [sys.executable, "-m", "sgcx.server.child", str(config)], port, **environment) as server:
        yield server


@contextmanager
def started(
    directory: Path, command: Sequence[str], port: int, *, ready_s: float = _READY_S, **environment: str
) -> Iterator[Server]:
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "server.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, stdout=out, stderr=out, env={**os.environ, **environment}, start_new_session=True
        )
    try:
        yield _wait(child, log, f"http://127.0.0.1:{port}", ready_s)
    finally:
        _end(child)


def _wait(child: subprocess.Popen[bytes], log: Path, base_url: str, ready_s: float) -> Server:
    begun = time.monotonic()
    progress = LaunchProgress()
    stages: dict[str, float] = {}
    with log.open(errors="replace") as lines:
        while time.monotonic() < begun + ready_s and child.poll() is None:
            for line in re.split(r"[\n\r]", lines.read()):
                change = progress.feed(line)
                if change is not None:
                    stages.setdefault(change.stage.value, round(time.monotonic() - begun, 1))
            if healthy(base_url):
                return Server(base_url, log, psutil.Process(child.pid), progress.facts, stages)
            time.sleep(0.2)
    raise ServerFailed(f"exit code {child.poll()}\n{log.read_text(errors='replace')[-3000:]}")


def visible_gpus() -> list[str]:
    """As `CUDA_VISIBLE_DEVICES` names them; all where it says nothing."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if named:
        return named.split(",")
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def healthy(base_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base_url}/health", timeout=30) as answer:
            return answer.status == 200
    except OSError:
        return False


def _end(child: subprocess.Popen[bytes]) -> None:
    """The whole session: workers outlive a leader that is killed."""
    family = [child.pid]
    if child.poll() is None:
        family += [process.pid for process in psutil.Process(child.pid).children(recursive=True)]
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
    for pid in family:
        if psutil.pid_exists(pid):
            psutil.Process(pid).kill()
    psutil.wait_procs([psutil.Process(pid) for pid in family if psutil.pid_exists(pid)], timeout=_STOP_S)
    child.wait()
