"""What `sgcx doctor --fix` does: small, local, reversible, and only to what is sgcx's own.

It downloads nothing, needs no other user's rights, and ends no process that sgcx did not start.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.server.records import remove_record
from sgcx.server.supervisor import survey
from sgcx.workflows.checks.check import Fix, FixKind
from sgcx.workflows.codex import plan_codex_config, write_codex_config
from sgcx.workflows.down import down_server
from sgcx.workflows.servers import find_view, pick, pick_view

_OWNER_ONLY = 0o600


def apply_fix(fix: Fix, paths: Paths) -> str:
    """Says what was done. Raises SgcxError where it could not be."""
    match fix.kind:
        case FixKind.CLOSE_KEY_FILE:
            Path(fix.target).chmod(_OWNER_ONLY)
            return f"only its owner can read {fix.target} now"
        case FixKind.CORRECT_RECORDS:
            view = find_view(paths, fix.target)
            return f"the record of {fix.target} says {view.record.state if view else 'nothing'} now"
        case FixKind.FORGET_RECORD:
            return _forget(fix.target, paths)
        case FixKind.END_LEFTOVERS:
            result = down_server(paths, pick_view(paths, fix.target))
            return f"{result.name} is down ({result.stopped.outcome.value.replace('_', ' ')})"
        case FixKind.WRITE_CODEX_CONFIG:
            change = plan_codex_config(pick(paths, fix.target), paths)
            write_codex_config(change, paths)
            return f"Codex's config in {change.home} points at {fix.target}; `sgcx codex-config --undo` takes it back"
        case FixKind.MAKE_CACHE_FOLDER:
            Path(fix.target).mkdir(parents=True, exist_ok=True)
            return f"{fix.target} is there"
        case other:
            assert_never(other)


def _forget(name: str, paths: Paths) -> str:
    """Its logs stay. Looked at again: the server may have come to life since it was found dead."""
    if survey(paths.servers, name).alive:
        raise UserError(f"The server {name!r} lives", hint=f"sgcx down {name}")
    remove_record(paths.servers, name)
    return f"the damaged record of {name} is gone; its logs are still there"
