"""`sgcx export`: a plan as files for the user's own supervisor. No file holds a secret; each says where it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sgcx.atomic_write import write_atomically
from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.plan import LaunchPlan
from sgcx.workflows.export_compose import compose_files
from sgcx.workflows.export_kubernetes import kubernetes_files
from sgcx.workflows.export_plan import ExportFile, ExportOptions
from sgcx.workflows.export_systemd import systemd_files

Format = Literal["systemd", "compose", "k8s"]

_WRITERS: dict[Format, Callable[[LaunchPlan, ExportOptions, Paths], tuple[ExportFile, ...]]] = {
    "systemd": systemd_files,
    "compose": compose_files,
    "k8s": kubernetes_files,
}


@dataclass(frozen=True, slots=True)
class Exported:
    files: tuple[ExportFile, ...]
    directory: Path | None
    """Where they were written; None: nowhere."""


def export(
    format_: Format, plan: LaunchPlan, options: ExportOptions, paths: Paths, *, directory: Path | None = None
) -> Exported:
    """Raises UserError where the plan has no form in this format, or the folder cannot be written."""
    if options.replicas > 1 and format_ != "k8s":
        raise UserError("--replicas is for k8s", hint="docs/operating.md: several servers behind SGLang's router")
    if plan.profile.scripted and format_ != "systemd":
        raise UserError("The rehearsal runs in sgcx's own engine only", hint="Export it for systemd, or a real model")
    files = _WRITERS[format_](plan, options, paths)
    if directory is not None:
        _write(directory, files)
    return Exported(files, directory)


def _write(directory: Path, files: tuple[ExportFile, ...]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file in files:
            write_atomically(directory / file.name, file.text.encode())
    except OSError as error:
        raise UserError(f"{directory} cannot be written: {error.strerror}") from error
