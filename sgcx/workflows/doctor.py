"""`sgcx doctor`: gathers facts, has them judged, and changes nothing."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sgcx.codex.runner import find_codex
from sgcx.hardware.detect import detect_hardware
from sgcx.hardware.memory_limit import memory_limit_bytes
from sgcx.paths import Paths, weights_directory
from sgcx.planning.profile import Profile
from sgcx.planning.snapshot import HardwareSnapshot
from sgcx.profiles import list_profiles
from sgcx.server.environment import EngineState, EngineStatus
from sgcx.server.ports import check_port
from sgcx.workflows import checks_codex, checks_engine, checks_machine, checks_servers
from sgcx.workflows.checks import Check, Status, guarded
from sgcx.workflows.checks_servers import ServerFacts, gather_servers, is_healthy
from sgcx.workflows.engines import list_engines
from sgcx.workflows.patches import engine_patches

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 30000


@dataclass(frozen=True, slots=True)
class Report:
    checks: tuple[Check, ...]

    def count(self, status: Status) -> int:
        return sum(check.status is status for check in self.checks)

    @property
    def failed(self) -> bool:
        return self.count(Status.FAIL) > 0


def examine(paths: Paths, environ: Mapping[str, str]) -> Report:
    """Never raises: what cannot be found out is a failed check."""
    doctor = _Doctor(paths, environ)
    return Report(tuple(doctor.checks()))


@dataclass(frozen=True, slots=True)
class _Doctor:
    """Each check gathers its own facts: they are cheap, and one that cannot be had harms no other check."""

    paths: Paths
    environ: Mapping[str, str]

    def checks(self) -> Iterator[Check]:
        yield from guarded(checks_machine.PYTHON, "version", self._python)
        yield from guarded(checks_machine.GPU, "driver", self._driver)
        yield from guarded(checks_machine.GPU, "GPUs", self._gpus)
        yield from guarded(checks_machine.STORAGE, "disk", self._data_disk)
        yield from guarded(checks_machine.STORAGE, "weights", self._weights_disk)
        yield from guarded(checks_machine.STORAGE, "memory", self._memory)
        yield from guarded(checks_machine.STORAGE, "port", self._port)
        yield from guarded(checks_engine.ENGINE, "engines", self._engines)
        yield from guarded(checks_engine.ENGINE, "patches", self._patches)
        yield from guarded(checks_servers.SERVERS, "API key", self._api_key)
        yield from guarded(checks_servers.SERVERS, "records", self._servers)
        yield from guarded(checks_servers.SERVERS, "answers", self._endpoints)
        yield from guarded(checks_codex.CODEX, "installed", self._codex)
        yield from guarded(checks_codex.CODEX, "config", self._config)
        yield from guarded(checks_codex.CODEX, "proxy", self._proxy)

    def _python(self) -> Iterator[Check]:
        has_ensurepip = importlib.util.find_spec("ensurepip") is not None
        version = (sys.version_info.major, sys.version_info.minor, sys.version_info.micro)
        engine = self._needed_engine()
        yield from checks_machine.check_python(version, has_ensurepip=has_ensurepip, engines=(engine,))

    def _driver(self) -> Iterator[Check]:
        yield checks_machine.check_driver(self._hardware())

    def _gpus(self) -> Iterator[Check]:
        ours = frozenset(index for each in self._running() if each.record for index in each.record.gpu_indices)
        yield from checks_machine.check_gpus(self._hardware(), ours)

    def _data_disk(self) -> Iterator[Check]:
        yield checks_machine.check_data_disk(self.paths.data, self._hardware().disk_free_bytes, self._needed_engine())

    def _weights_disk(self) -> Iterator[Check]:
        path = weights_directory(self.environ)
        entries = list_profiles(self.paths.user_profiles)
        profiles = [entry.profile for entry in entries if isinstance(entry.profile, Profile)]
        has_gpus = bool(self._hardware().gpus)
        yield checks_machine.check_weights_disk(path, _free_bytes(path), profiles, has_gpus=has_gpus)

    def _memory(self) -> Iterator[Check]:
        server_runs = bool(self._running())
        yield checks_machine.check_memory(self._hardware(), memory_limit_bytes(), server_runs=server_runs)

    def _port(self) -> Iterator[Check]:
        ours = (each.name for each in self._running() if each.record and each.record.port == DEFAULT_PORT)
        owner = check_port(DEFAULT_HOST, DEFAULT_PORT)
        yield checks_machine.check_default_port(DEFAULT_PORT, owner, next(ours, None))

    def _engines(self) -> Iterator[Check]:
        for state in list_engines(self.paths):
            yield checks_engine.check_engine(state)

    def _patches(self) -> Iterator[Check]:
        ready = [state.spec.name for state in list_engines(self.paths) if state.status is EngineStatus.READY]
        if not ready:
            yield Check(checks_engine.ENGINE, "patches", Status.SKIP, "no engine is ready")
        for name in ready:
            yield from checks_engine.check_patches(name, engine_patches(name, self.paths))

    def _api_key(self) -> Iterator[Check]:
        yield from checks_servers.check_api_key(self.paths.api_key)

    def _servers(self) -> Iterator[Check]:
        servers = gather_servers(self.paths)
        if not servers:
            yield Check(checks_servers.SERVERS, "records", Status.SKIP, "no server has been started")
        for facts in servers:
            yield checks_servers.check_server(facts)

    def _endpoints(self) -> Iterator[Check]:
        running = [facts for facts in self._running() if is_healthy(facts)]
        if not running:
            yield Check(checks_servers.SERVERS, "answers", Status.SKIP, "no server is running")
        for facts in running:
            if facts.record is not None:
                yield checks_servers.check_endpoint(facts.record, self.paths)

    def _codex(self) -> Iterator[Check]:
        yield checks_codex.check_codex(find_codex(self.environ))

    def _config(self) -> Iterator[Check]:
        running = tuple(facts.record for facts in self._running() if facts.record is not None)
        yield from checks_codex.check_config(running, self.paths, self.environ)

    def _proxy(self) -> Iterator[Check]:
        yield checks_codex.check_proxy(self.environ)

    def _hardware(self) -> HardwareSnapshot:
        return detect_hardware(self.paths.data)

    def _needed_engine(self) -> EngineState:
        accelerator = "cuda" if self._hardware().gpus else "cpu"
        return next(state for state in list_engines(self.paths) if state.spec.accelerator == accelerator)

    def _running(self) -> tuple[ServerFacts, ...]:
        return tuple(facts for facts in gather_servers(self.paths) if facts.runs)


def _free_bytes(path: Path) -> int:
    absolute = path.absolute()
    return shutil.disk_usage(next(each for each in (absolute, *absolute.parents) if each.exists())).free
