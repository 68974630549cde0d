"""One cell of the table: the contract tests and the Codex workflows in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from compatibility.page import Cell, Suite

TESTS = Path(__file__).resolve().parent.parent
CONTRACT = ("test_frozen_start", "test_engine_prompts", "test_constraints", "test_websocket_live")
WORKFLOWS = ("test_codex_workflows",)


def run(sglang: str, codex: str, endpoint: str) -> Cell:
    chosen = {"SGCX_TEST_SGLANG": sglang, "SGCX_TEST_CODEX": codex, "SGCX_TEST_ENDPOINT": endpoint}
    files = [f"e2e/{name}.py" for name in (*CONTRACT, *WORKFLOWS)]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"--junitxml={report}", "--timeout=1800", *files]
        done = subprocess.run(command, cwd=TESTS, env={**os.environ, **chosen}, capture_output=True, text=True)
        print(done.stdout[-6000:], file=sys.stderr)
        cases = list(ElementTree.parse(report).iter("testcase"))
    return Cell(
        sglang=sglang,
        codex=codex,
        endpoint=endpoint,
        date=datetime.now(UTC).date().isoformat(),
        contract=_suite(cases, CONTRACT),
        workflows=_suite(cases, WORKFLOWS),
    )


def _suite(cases: list[ElementTree.Element], modules: tuple[str, ...]) -> Suite:
    ours = [case for case in cases if case.get("classname", "").rpartition(".")[2] in modules]
    failed = [
        case.get("name", "") for case in ours if case.find("failure") is not None or case.find("error") is not None
    ]
    return Suite(len(ours) - len(failed), len(ours), failed)
