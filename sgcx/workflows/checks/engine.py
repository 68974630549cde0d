"""Doctor on the engines: their state, the patches for them, and what their own Python can import."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sgcx.byte_sizes import gib
from sgcx.engines.patches.patching import PatchStatus
from sgcx.environments.environment import EngineState, EngineStatus
from sgcx.workflows.checks.check import Check, Status

ENGINE = "Engine"


def check_engine(state: EngineState) -> Check:
    name = state.spec.name
    match state.status:
        case EngineStatus.READY:
            return Check(ENGINE, name, Status.OK, f"ready, {gib(state.size_bytes)} in {state.path}")
        case EngineStatus.ABSENT:
            return Check(ENGINE, name, Status.SKIP, "not installed; `sgcx up` does that when it is needed")
        case EngineStatus.INCOMPLETE:
            mend = "If nothing is installing it: `sgcx up` or `sgcx engine install` completes it"
            return Check(ENGINE, name, Status.WARN, state.reason or "incomplete", mend=mend)
        case EngineStatus.BROKEN:
            mend = f"`sgcx up` makes it anew, or: sgcx engine repair {name}"
            return Check(ENGINE, name, Status.FAIL, state.reason or "broken", mend=mend)


def check_patches(label: str, statuses: Sequence[PatchStatus]) -> Iterator[Check]:
    """Does `sgcx up` find the files that the patches were made for? Of a release without patches nothing is said."""
    conflicts = [status for status in statuses if status.state == "conflict"]
    if statuses and not conflicts:
        yield Check(ENGINE, "patches", Status.OK, f"the {len(statuses)} patches fit {label}")
    for status in conflicts:
        found = f"{label} has another file: {status.reason}"
        why = "A patch is only applied to the exact file that it was made for"
        yield Check(ENGINE, f"patch {status.name}", Status.FAIL, found, why, f"sgcx engine repair {label}")


_PROBE = """
import importlib.metadata, json, sys
facts = {}
try:
    facts["sglang"] = importlib.metadata.version("sglang")
    import torch
    facts["torch"], facts["cuda"] = torch.__version__, torch.version.cuda
    facts["gpus"] = torch.cuda.device_count() if torch.version.cuda else 0
    if torch.version.cuda:
        import sgl_kernel
except Exception as error:
    facts["error"] = f"{type(error).__name__}: {error}"
json.dump(facts, sys.stdout)
"""
_PROBE_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the engine's own Python says of itself. `error` is why torch or SGLang's kernels cannot be imported."""

    sglang: str | None = None
    torch: str | None = None
    cuda: str | None = None
    gpus: int | None = None
    error: str | None = None


def ask_engine(python: Path) -> EngineFacts:
    """Imports torch, and on a GPU SGLang's kernels: seconds."""
    command = [str(python), "-I", "-c", _PROBE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S)
        facts: object = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return EngineFacts(error=f"importing torch takes more than {_PROBE_TIMEOUT_S:.0f} s")
    except (OSError, ValueError) as error:
        return EngineFacts(error=f"its Python says nothing: {error}")
    assert isinstance(facts, dict)
    return EngineFacts(**{key: value for key, value in facts.items() if key in EngineFacts.__slots__})


def check_imports(state: EngineState, facts: EngineFacts, *, gpu_count: int) -> Iterator[Check]:
    """Of a ready engine."""
    name, title = state.spec.name, f"{state.spec.accelerator} imports"
    repair = f"sgcx engine repair {name}"
    if facts.error is not None:
        why = "A server would end with the same error; the driver, or a file of the engine, is not the right one"
        yield Check(ENGINE, title, Status.FAIL, facts.error, why, f"{repair}; if it stays: update the NVIDIA driver")
        return
    if facts.sglang != state.spec.sglang_version:
        found = f"SGLang {facts.sglang} instead of {state.spec.sglang_version}"
        yield Check(ENGINE, title, Status.FAIL, found, "sgcx is made for the other one", repair)
        return
    if state.spec.accelerator == "cuda" and gpu_count and not facts.gpus:
        found = f"torch {facts.torch} for CUDA {facts.cuda} sees none of {gpu_count} GPUs"
        mend = "`nvidia-smi` must work for this user; in a container: --gpus all; then restart the machine"
        yield Check(ENGINE, title, Status.FAIL, found, "The driver and CUDA do not go together", mend)
        return
    cuda = f", CUDA {facts.cuda}, {facts.gpus} GPUs" if facts.cuda else ""
    yield Check(ENGINE, title, Status.OK, f"SGLang {facts.sglang}, torch {facts.torch}{cuda}")
