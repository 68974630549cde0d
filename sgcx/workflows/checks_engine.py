"""Doctor on the engines and the patches in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sgcx.engines.patches.patching import PatchStatus
from sgcx.server.environment import EngineState, EngineStatus
from sgcx.workflows.checks import Check, Status

ENGINE = "Engine"


def check_engine(state: EngineState) -> Check:
    name = state.spec.name
    match state.status:
        case EngineStatus.READY:
            return Check(ENGINE, name, Status.OK, f"ready, {state.size_bytes / (1 << 30):.1f} GiB in {state.path}")
        case EngineStatus.ABSENT:
            return Check(ENGINE, name, Status.SKIP, "not installed; `sgcx up` does that when it is needed")
        case EngineStatus.INCOMPLETE:
            mend = "If nothing is installing it: `sgcx up` or `sgcx engine install` completes it"
            return Check(ENGINE, name, Status.WARN, state.reason or "incomplete", mend=mend)
        case EngineStatus.BROKEN:
            mend = f"`sgcx up` makes it anew, or: sgcx engine repair {name}"
            return Check(ENGINE, name, Status.FAIL, state.reason or "broken", mend=mend)


def check_patches(label: str, statuses: Sequence[PatchStatus]) -> Iterator[Check]:
    """Does `sgcx up` find the files that the patches were made for?"""
    conflicts = [status for status in statuses if status.state == "conflict"]
    if not conflicts:
        yield Check(ENGINE, "patches", Status.OK, f"the {len(statuses)} patches fit {label}")
    for status in conflicts:
        found = f"{label} has another file: {status.reason}"
        why = "A patch is only applied to the exact file that it was made for"
        yield Check(ENGINE, f"patch {status.name}", Status.FAIL, found, why, f"sgcx engine repair {label}")
