"""What a launch needs on disk: the engine environment, and for the rehearsal its checkpoint."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from sgcx.engines.patches.installation import SglangInstallation
from sgcx.engines.patches.registry import patches_for
from sgcx.engines.patches.view import write_view
from sgcx.environments.engine_specs import EngineDirectory, EngineSpec, list_specs
from sgcx.environments.install_progress import InstallProgress
from sgcx.environments.overlay import RUNNING_SGCX, engine_environment, write_overlay
from sgcx.errors import LaunchFailed, UserError
from sgcx.paths import Paths
from sgcx.planning.plan import LaunchPlan
from sgcx.rehearsal.checkpoint import checkpoint_is_current
from sgcx.rehearsal.rules import load_script
from sgcx.workflows.engines import install_engine

_CHECKPOINT_TIMEOUT_S = 600
_PLACES = {"cpu": "the CPU", "cuda": "NVIDIA GPUs"}


@dataclass(frozen=True, slots=True)
class EngineRuntime:
    """How to run Python inside an engine: its interpreter and the whole environment for it."""

    spec: EngineSpec
    python: Path
    environment: dict[str, str]


def engine_for(plan: LaunchPlan) -> EngineSpec:
    for spec in list_specs():
        if (spec.sglang_version, spec.accelerator) == (plan.sglang_version, plan.accelerator):
            return spec
    known = ", ".join(spec.sglang_version for spec in list_specs() if spec.accelerator == plan.accelerator)
    raise UserError(
        f"sgcx has no engine with SGLang {plan.sglang_version} for {_PLACES[plan.accelerator]}",
        hint=f"It has {known}; `sgcx gateway` serves in front of any other that you start yourself",
    )


def engine_called(name: str) -> EngineSpec:
    for spec in list_specs():
        if spec.name == name:
            return spec
    raise UserError(f"sgcx has no engine {name} any more", hint="`sgcx down` the server, then `sgcx up` its profile")


def check_left_out_patches(sglang_version: str, names: Collection[str]) -> None:
    for patch in patches_for(sglang_version, names):
        if patch.needed_by_sgcx:
            raise UserError(
                f"The patch {patch.name!r} cannot be left out: {patch.purpose}",
                hint="`sgcx gateway` serves the endpoint in front of an SGLang without any patch",
            )


def provision_engine(
    spec: EngineSpec,
    paths: Paths,
    on_progress: Callable[[InstallProgress], None],
    *,
    without_patches: Collection[str] = (),
) -> EngineRuntime:
    """Installs or completes the engine, and makes the view of its SGLang that has our patches, if there are any."""
    check_left_out_patches(spec.sglang_version, without_patches)
    install_engine(spec, paths, on_progress)
    engine = EngineDirectory.of(spec, paths.engines)
    site_packages = engine.site_packages()
    assert site_packages is not None, "a READY engine has packages"
    overlay = write_overlay(engine.path, RUNNING_SGCX, spec.accelerator)
    environment = engine_environment(spec.accelerator, overlay)
    if patches_for(spec.sglang_version):
        installation = SglangInstallation.find(site_packages)
        view = write_view(installation, engine.path / "patched", without=frozenset(without_patches))
        environment["PYTHONPATH"] = f"{environment['PYTHONPATH']}{os.pathsep}{view}"
    return EngineRuntime(spec, engine.python, environment)


def provision_rehearsal(runtime: EngineRuntime, directory: Path) -> None:
    """Makes the scripted checkpoint, unless this version of sgcx has made it before."""
    if checkpoint_is_current(directory):
        return
    command = [str(runtime.python), "-m", "sgcx.rehearsal.checkpoint", str(directory)]
    try:
        made = subprocess.run(
            command,
            env=runtime.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CHECKPOINT_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise LaunchFailed(
            f"The rehearsal checkpoint was not made within {_CHECKPOINT_TIMEOUT_S} s",
            hint="A machine that is busy, or whose disk is, needs more time: run this again when it is less so",
        ) from error
    if made.returncode != 0:
        lines = tuple(made.stderr.splitlines()[-20:])
        raise LaunchFailed(
            "The rehearsal checkpoint could not be made",
            hint=f"`sgcx engine repair {runtime.spec.name}` mends a damaged engine",
            log_tail=lines,
        )


def check_script(path: Path) -> Path:
    """A script that the rehearsal can follow, as an absolute path."""
    load_script(path)
    return path.absolute()
