"""`sgcx doctor`: gathers facts, has them judged, and changes nothing."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psutil

from sgcx.codex.runner import find_codex
from sgcx.environments.engine_specs import EngineDirectory
from sgcx.environments.environment import EngineState, EngineStatus
from sgcx.hardware.detect import detect_hardware
from sgcx.hardware.file_systems import nearest_existing
from sgcx.paths import Paths, weights_directory
from sgcx.planning.driver import SGLANG_VERSION
from sgcx.planning.profile import Profile
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.profiles import ProfileEntry, list_profiles
from sgcx.server.ports import check_port
from sgcx.workflows.checks import codex as codex_checks
from sgcx.workflows.checks import engine as engine_checks
from sgcx.workflows.checks import gpu as gpu_checks
from sgcx.workflows.checks import health as health_checks
from sgcx.workflows.checks import images as images_checks
from sgcx.workflows.checks import links as links_checks
from sgcx.workflows.checks import models as models_checks
from sgcx.workflows.checks import python as python_checks
from sgcx.workflows.checks import resources as resources_checks
from sgcx.workflows.checks import servers as servers_checks
from sgcx.workflows.checks import system as system_checks
from sgcx.workflows.checks.check import Check, Status, guarded
from sgcx.workflows.checks.models import HubAnswer, ask_hub
from sgcx.workflows.checks.servers import ServerFacts, gather_servers, is_healthy
from sgcx.workflows.checks.system import BuildTools
from sgcx.workflows.engines import list_engines
from sgcx.workflows.patches import engine_patches

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 30000
_KERNEL_CACHES = (".cache/deep_gemm", ".cache/flashinfer", ".triton")


@dataclass(frozen=True, slots=True)
class Report:
    checks: tuple[Check, ...]

    def count(self, status: Status) -> int:
        return sum(check.status is status for check in self.checks)

    def failed(self, *, strict: bool = False) -> bool:
        """`strict`: a warning is a failure, too."""
        return self.count(Status.FAIL) > 0 or (strict and self.count(Status.WARN) > 0)


def examine(paths: Paths, environ: Mapping[str, str]) -> Report:
    """Never raises: what cannot be found out is a failed check."""
    return Report(tuple(_Doctor(paths, environ).checks()))


class _Doctor:
    """Facts that several checks need are gathered once. One that cannot be had fails the checks that need it."""

    def __init__(self, paths: Paths, environ: Mapping[str, str]) -> None:
        self.paths = paths
        self.environ = environ

    def checks(self) -> Iterator[Check]:
        for group, title, run in (
            (python_checks.PYTHON, "version", self._python),
            (system_checks.SYSTEM, "platform", self._system),
            (system_checks.SYSTEM, "clock", self._clock),
            (gpu_checks.GPU, "driver", self._driver),
            (gpu_checks.GPU, "GPUs", self._gpus),
            (health_checks.HEALTH, "GPUs", self._health),
            (links_checks.LINKS, "GPUs", self._links),
            (resources_checks.RESOURCES, "disk", self._data_disk),
            (resources_checks.RESOURCES, "weights", self._weights_disk),
            (resources_checks.RESOURCES, "memory", self._memory),
            (resources_checks.RESOURCES, "port", self._port),
            (models_checks.MODELS, "fit", self._models),
            (models_checks.MODELS, "hub", self._hub),
            (engine_checks.ENGINE, "engines", self._engines),
            (engine_checks.ENGINE, "imports", self._imports),
            (engine_checks.ENGINE, "patches", self._patches),
            (servers_checks.SERVERS, "API key", self._api_key),
            (servers_checks.SERVERS, "records", self._servers),
            (servers_checks.SERVERS, "images", self._images),
            (servers_checks.PROBE, "answers", self._endpoints),
            (codex_checks.CODEX, "installed", self._codex),
            (codex_checks.CODEX, "config", self._config),
            (codex_checks.CODEX, "proxy", self._proxy),
        ):
            yield from guarded(group, title, run)

    def _python(self) -> Iterator[Check]:
        has_ensurepip = importlib.util.find_spec("ensurepip") is not None
        version = (sys.version_info.major, sys.version_info.minor, sys.version_info.micro)
        engine = self._needed_engine()
        yield from python_checks.check_python(version, has_ensurepip=has_ensurepip, engines=(engine,))

    def _system(self) -> Iterator[Check]:
        yield from system_checks.check_platform(self._hardware)
        yield system_checks.check_numa_library(ctypes.util.find_library("numa"), has_gpus=self._has_gpus)
        yield system_checks.check_build_tools(_build_tools(self.environ), has_gpus=self._has_gpus)
        folders = {Path.home() / name: _is_writable(Path.home() / name) for name in _KERNEL_CACHES}
        yield from system_checks.check_kernel_caches(folders, has_gpus=self._has_gpus)

    def _clock(self) -> Iterator[Check]:
        yield system_checks.check_clock(self._hub_answer.skew_s if self._hub_answer else None)

    def _driver(self) -> Iterator[Check]:
        yield gpu_checks.check_driver(self._hardware)

    def _gpus(self) -> Iterator[Check]:
        ours = frozenset(index for each in self._running if each.record for index in each.record.gpu_indices)
        yield from gpu_checks.check_gpus(self._hardware, ours)
        yield from gpu_checks.check_kinds(self._hardware)
        yield from gpu_checks.check_modes(self._hardware)
        yield from gpu_checks.check_fabric(self._hardware)

    def _health(self) -> Iterator[Check]:
        yield from health_checks.check_health(self._hardware)

    def _links(self) -> Iterator[Check]:
        yield from links_checks.check_links(self._hardware)
        interfaces = psutil.net_if_stats()
        yield from links_checks.check_variables(self.environ, interfaces, has_gpus=self._has_gpus)

    def _data_disk(self) -> Iterator[Check]:
        free_bytes = self._hardware.disk_free_bytes
        yield resources_checks.check_data_disk(self.paths.data, free_bytes, self._needed_engine())
        yield from resources_checks.check_file_systems(self._hardware)

    def _weights_disk(self) -> Iterator[Check]:
        path = weights_directory(self.environ)
        has_gpus = self._has_gpus
        yield resources_checks.check_weights_disk(path, _free_bytes(path), self._profiles, has_gpus=has_gpus)

    def _memory(self) -> Iterator[Check]:
        yield resources_checks.check_memory(self._hardware, server_runs=bool(self._running))
        yield resources_checks.check_shared_memory(self._hardware)
        yield from resources_checks.check_limits(self._hardware)

    def _port(self) -> Iterator[Check]:
        ours = (each.name for each in self._running if each.record and each.record.port == DEFAULT_PORT)
        owner = check_port(DEFAULT_HOST, DEFAULT_PORT)
        yield resources_checks.check_default_port(DEFAULT_PORT, owner, next(ours, None))

    def _models(self) -> Iterator[Check]:
        yield models_checks.check_fitting(self._hardware, self._profiles)
        yield from models_checks.check_profiles(self._entries)
        yield from models_checks.check_revisions(self._profiles, has_gpus=self._has_gpus)

    def _hub(self) -> Iterator[Check]:
        yield models_checks.check_hub(self._hub_answer, has_gpus=self._has_gpus)
        versions = _version("huggingface_hub"), _version("hf_xet")
        yield models_checks.check_hub_client(*versions, has_gpus=self._has_gpus)
        yield models_checks.check_hub_token(self.environ, Path.home())

    def _engines(self) -> Iterator[Check]:
        """The usual release's, and what else somebody has installed."""
        for state in list_engines(self.paths):
            if state.spec.sglang_version == SGLANG_VERSION or state.status is not EngineStatus.ABSENT:
                yield engine_checks.check_engine(state)

    def _imports(self) -> Iterator[Check]:
        for state in self._ready_engines():
            python = EngineDirectory.of(state.spec, self.paths.engines).python
            facts = engine_checks.ask_engine(python)
            yield from engine_checks.check_imports(state, facts, gpu_count=len(self._hardware.gpus))

    def _patches(self) -> Iterator[Check]:
        ready = self._ready_engines()
        if not ready:
            yield Check(engine_checks.ENGINE, "patches", Status.SKIP, "no engine is ready")
        for state in ready:
            name = state.spec.name
            yield from engine_checks.check_patches(name, engine_patches(name, self.paths))

    def _api_key(self) -> Iterator[Check]:
        yield from servers_checks.check_api_key(self.paths.api_key)

    def _servers(self) -> Iterator[Check]:
        servers = gather_servers(self.paths)
        if not servers:
            yield Check(servers_checks.SERVERS, "records", Status.SKIP, "no server has been started")
        for facts in servers:
            yield servers_checks.check_server(facts)

    def _images(self) -> Iterator[Check]:
        yield from images_checks.check_image_cache(self.environ, has_gpus=self._has_gpus)
        for facts in self._running:
            if facts.record is not None:
                yield from images_checks.check_room_for_images(facts.record, self._hardware)

    def _endpoints(self) -> Iterator[Check]:
        running = [facts for facts in self._running if is_healthy(facts)]
        if not running:
            yield Check(servers_checks.PROBE, "answers", Status.SKIP, "no server is running")
        for facts in running:
            if facts.record is not None:
                yield from servers_checks.check_endpoint(facts.record, self.paths)

    def _codex(self) -> Iterator[Check]:
        yield codex_checks.check_codex(find_codex(self.environ))

    def _config(self) -> Iterator[Check]:
        running = tuple(facts.record for facts in self._running if facts.record is not None)
        yield from codex_checks.check_config(running, self.paths, self.environ)

    def _proxy(self) -> Iterator[Check]:
        yield codex_checks.check_proxy(self.environ)

    @cached_property
    def _hardware(self) -> HardwareSnapshot:
        return detect_hardware(self.paths.data)

    @property
    def _has_gpus(self) -> bool:
        return bool(self._hardware.gpus)

    @cached_property
    def _hub_answer(self) -> HubAnswer | None:
        return ask_hub(self.environ) if self._has_gpus else None

    @cached_property
    def _entries(self) -> tuple[ProfileEntry, ...]:
        return list_profiles(self.paths.user_profiles)

    @property
    def _profiles(self) -> tuple[Profile, ...]:
        return tuple(entry.profile for entry in self._entries if isinstance(entry.profile, Profile))

    @cached_property
    def _running(self) -> tuple[ServerFacts, ...]:
        return tuple(facts for facts in gather_servers(self.paths) if facts.runs)

    def _needed_engine(self) -> EngineState:
        accelerator = "cuda" if self._has_gpus else "cpu"
        return next(state for state in list_engines(self.paths) if state.spec.accelerator == accelerator)

    def _ready_engines(self) -> list[EngineState]:
        return [state for state in list_engines(self.paths) if state.status is EngineStatus.READY]


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(nearest_existing(path)).free


def _is_writable(folder: Path) -> bool | None:
    return os.access(folder, os.W_OK) if folder.exists() else None


def _build_tools(environ: Mapping[str, str]) -> BuildTools:
    search = environ.get("PATH", "")
    toolkit = environ.get("CUDA_HOME") or environ.get("CUDA_PATH") or "/usr/local/cuda"
    nvcc = shutil.which("nvcc", path=search) or shutil.which("nvcc", path=f"{toolkit}/bin")
    return BuildTools(nvcc, shutil.which(environ.get("CXX") or "c++", path=search) or shutil.which("g++", path=search))


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
