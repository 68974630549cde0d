"""`PYTHONPATH=tests python -m compatibility`: the end-to-end tests with other releases, as a table.

Every cell is a run of the contract tests and the Codex workflows on the real SGLang (on a CPU, with the scripted
checkpoint). What it installs stays in SGCX_TEST_HOME: 2.4 GiB for each release of SGLang. A run takes about three
minutes and an installation three more. Cells that are not run again keep what `results.json` has of them, and
docs/compatibility.md is written anew from all of it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from compatibility.page import Cell, Suite, write_page
from compatibility.running import TESTS, run

RESULTS = Path(__file__).with_name("results.json")
PAGE = TESTS.parent / "docs" / "compatibility.md"


@dataclass(frozen=True)
class Asked:
    sglang: tuple[str, ...]
    codex: tuple[str, ...]
    endpoints: tuple[str, ...]

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        return ((s, c, e) for s in self.sglang for c in self.codex for e in self.endpoints)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sglang", nargs="+", default=["0.5.10.post1", "0.5.11", "0.5.16", "0.5.20", "0.5.23"])
    parser.add_argument("--codex", nargs="+", default=["0.169.0"])
    parser.add_argument("--endpoint", nargs="+", default=["in process", "gateway"])
    options = parser.parse_args()
    for sglang, codex, endpoint in Asked(tuple(options.sglang), tuple(options.codex), tuple(options.endpoint)):
        cell = run(sglang, codex, endpoint)
        print(json.dumps(asdict(cell), indent=1), flush=True)
        cells = [each for each in read_results() if each.key != cell.key] + [cell]
        RESULTS.write_text(json.dumps([asdict(each) for each in sorted(cells, key=lambda each: each.key)], indent=1))
        write_page(PAGE, cells)


def read_results() -> list[Cell]:
    documents = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    return [
        Cell(**{**document, "contract": Suite(**document["contract"]), "workflows": Suite(**document["workflows"])})
        for document in documents
    ]


if __name__ == "__main__":
    main()
