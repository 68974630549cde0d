"""Links in the pages lead somewhere, and their tables are those of the recorded runs."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest
from compatibility.__main__ import PAGE, read_results
from compatibility.page import write_page

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "tests" / "gpu" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PERFORMANCE = ROOT / "docs" / "performance.md"
_LINK = re.compile(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)")
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for path, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def anchors(page: Path) -> set[str]:
    """As the sites that show Markdown make them of headings."""
    headings = _HEADING.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    ("stage", "results"),
    [
        *(("truth", name) for name in ("truth", "whole")),
        *(("speed", name) for name in ("speed", "releases")),
        *((name, "whole") for name in ("whole", "starts")),
        *((name, name) for name in ("prefix", "parallel", "codex")),
    ],
)
def test_the_tables_of_gpu_runs_are_those_of_their_results(
    stage: str, results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = ROOT / "tests" / "gpu"
    monkeypatch.syspath_prepend(gpu)
    tables = runpy.run_path(str(gpu / "tables.py"))["STAGES"]
    rows = json.loads((gpu / "results" / f"{results}.json").read_text())
    assert tables[stage](rows) + "\n" in PERFORMANCE.read_text(encoding="utf-8")


def test_the_table_of_releases_is_that_of_its_results(tmp_path: Path) -> None:
    copy = tmp_path / PAGE.name
    copy.write_text(PAGE.read_text())
    write_page(copy, read_results())
    assert copy.read_text() == PAGE.read_text()
