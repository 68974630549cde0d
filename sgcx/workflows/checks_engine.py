"""Doctor on the engines and the patches in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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


def check_patches(label: str, statuses: Iterable[PatchStatus]) -> Iterator[Check]:
    for status in statuses:
        title = f"patch {status.name}"
        match status.state:
            case "applied":
                yield Check(ENGINE, title, Status.OK, f"applied to {label}")
            case "not_applied":
                mend = "`sgcx up` applies it, or: sgcx patch apply"
                yield Check(ENGINE, title, Status.WARN, f"not applied to {label}", mend=mend)
            case "conflict":
                found = f"{label} has another file: {status.reason}"
                why = "A patch is only applied to the exact file that it was made for"
                yield Check(ENGINE, title, Status.FAIL, found, why, f"sgcx engine repair {label}")
