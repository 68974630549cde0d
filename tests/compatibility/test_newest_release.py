"""The newest SGLang in continuous integration: one cell of the table in docs/compatibility.md, run anew."""

from __future__ import annotations

import pytest
from compatibility.running import run
from installed import CODEX_VERSION

pytestmark = [pytest.mark.engine, pytest.mark.codex]


@pytest.mark.timeout(900)
def test_the_contract_and_the_codex_workflows_hold_in_the_newest_release(newest_engine: str, codex_binary) -> None:
    cell = run(newest_engine, CODEX_VERSION, "in process")
    assert (cell.contract.failed, cell.workflows.failed) == ([], [])
    assert cell.contract.total > 15
    assert cell.workflows.total > 5
