"""docs/compatibility.md: the table between its two markers, from the results of runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

BEGIN = "<!-- cells -->\n"
END = "<!-- end of cells -->\n"


@dataclass(frozen=True)
class Suite:
    """`failed`: the names of the tests that did not pass."""

    passed: int
    total: int
    failed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.passed} of {self.total}"


@dataclass(frozen=True)
class Cell:
    sglang: str
    codex: str
    endpoint: str
    date: str
    contract: Suite
    workflows: Suite

    @property
    def key(self) -> tuple[list[int], list[int], str]:
        """In the order of the table: newest last, in process before the gateway."""
        return (_numbers(self.sglang), _numbers(self.codex), "" if self.endpoint == "in process" else self.endpoint)


def write_page(page: Path, cells: list[Cell]) -> None:
    before, rest = page.read_text().split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}{_table(cells)}{END}{after}")


def _table(cells: list[Cell]) -> str:
    ordered = sorted(cells, key=lambda cell: cell.key)
    rows = [
        f"| {cell.sglang} | {cell.endpoint} | {cell.codex} | {cell.contract} | {cell.workflows} | {cell.date} |\n"
        for cell in ordered
    ]
    failures = [
        f"- SGLang {cell.sglang}, {cell.endpoint}, Codex {cell.codex}: {', '.join(f'`{name}`' for name in names)}\n"
        for cell in ordered
        if (names := [*cell.contract.failed, *cell.workflows.failed])
    ]
    head = "| SGLang | endpoint | Codex | contract tests | Codex workflows | run on |\n|---|---|---|---|---|---|\n"
    what_failed = "\nWhat did not pass:\n\n" if failures else ""
    return f"\n{head}{''.join(rows)}{what_failed}{''.join(failures)}\n"


def _numbers(version: str) -> list[int]:
    return [int(part.removeprefix("post")) for part in version.split(".")]
