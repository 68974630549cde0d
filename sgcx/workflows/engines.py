"""`sgcx engine`: the managed engines, looked at and changed. None is changed while a server runs on it."""

from __future__ import annotations

from sgcx.engines.patches.patching import SglangPatcher
from sgcx.environments.engine_specs import EngineDirectory, EngineSpec, find_spec, list_specs
from sgcx.environments.environment import EngineState, EngineStatus, inspect, install, remove, repair, verify
from sgcx.environments.install_progress import OnProgress
from sgcx.environments.verification import Problem
from sgcx.errors import LaunchFailed, UserError
from sgcx.hardware.nvml import read_nvml
from sgcx.paths import Paths
from sgcx.server.records import server_names
from sgcx.server.supervisor import survey


def list_engines(paths: Paths) -> tuple[EngineState, ...]:
    return tuple(inspect(spec, paths.engines) for spec in list_specs())


def spec_for_this_machine(name: str | None) -> EngineSpec:
    """The named engine; without a name, CUDA's where there is a GPU."""
    if name is not None:
        return find_spec(name)
    accelerator = "cuda" if read_nvml().gpus else "cpu"
    return next(spec for spec in list_specs() if spec.accelerator == accelerator)


def installed_specs(name: str | None, paths: Paths) -> tuple[EngineSpec, ...]:
    """The named engine, or all that are on the disk, whatever state they are in."""
    specs = list_specs() if name is None else (find_spec(name),)
    found = tuple(spec for spec in specs if EngineDirectory.of(spec, paths.engines).path.exists())
    if not found:
        what = "No engine is installed" if name is None else f"The engine {name} is not installed"
        raise UserError(what, hint=f"`sgcx engine install {name}`" if name else "`sgcx engine install`, or `sgcx up`")
    return found


def install_engine(spec: EngineSpec, paths: Paths, on_progress: OnProgress) -> EngineState:
    _require_unused(spec, paths, "installed again", unless_ready=True)
    state = install(spec, paths.engines, on_progress=on_progress)
    if state.status is not EngineStatus.READY:
        log = EngineDirectory.of(spec, paths.engines).pip_log
        raise LaunchFailed(f"The engine {spec.name} is not ready: {state.reason}", log_path=str(log))
    return state


def verify_engine(spec: EngineSpec, paths: Paths) -> tuple[Problem, ...]:
    """What is wrong with it; an engine that is not ready is one problem for all its packages."""
    state = inspect(spec, paths.engines)
    if state.status is not EngineStatus.READY:
        raise UserError(
            f"{spec.name} cannot be verified: {state.reason}", hint=f"`sgcx engine repair {spec.name}` makes it anew"
        )
    return tuple(verify(spec, paths.engines, patcher=SglangPatcher()))


def repair_engine(spec: EngineSpec, paths: Paths, on_progress: OnProgress) -> tuple[Problem, ...]:
    _require_unused(spec, paths, "repaired")
    return tuple(repair(spec, paths.engines, patcher=SglangPatcher(), on_progress=on_progress))


def removable_engine(name: str, paths: Paths) -> EngineState:
    """Raises where there is nothing to remove, or where a server would lose its files."""
    (spec,) = installed_specs(name, paths)
    _require_unused(spec, paths, "removed")
    return inspect(spec, paths.engines)


def remove_engine(spec: EngineSpec, paths: Paths) -> int:
    _require_unused(spec, paths, "removed")
    return remove(spec, paths.engines)


def _require_unused(spec: EngineSpec, paths: Paths, verb: str, *, unless_ready: bool = False) -> None:
    if unless_ready and inspect(spec, paths.engines).status is EngineStatus.READY:
        return
    for name in server_names(paths.servers):
        found = survey(paths.servers, name)
        record = found.loaded.record
        # A child that nobody recorded may be running on any engine.
        if found.alive and (record is None or record.engine == spec.name):
            raise UserError(
                f"{spec.name} cannot be {verb}: the server {name!r} is running on it",
                hint=f"Stop it first: sgcx down {name}",
            )
