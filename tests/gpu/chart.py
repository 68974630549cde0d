"""Draws `docs/screenshots/streams.svg` from the results of the stage `speed`. Needs `PYTHONPATH=.:tests`."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

from sgcx.bench.chart import Line, Panel, draw_panels

_ROOT = Path(__file__).resolve().parents[2]
_RESULTS = _ROOT / "tests" / "gpu" / "results" / "speed.json"
_PICTURE = _ROOT / "docs" / "screenshots" / "streams.svg"
_WAYS = ("chat", "responses", "gateway", "published chat")
_PROMPT_TOKENS = 1_000


def main() -> None:
    rows = [row for row in json.loads(_RESULTS.read_text()) if row["prompt_tokens"] == _PROMPT_TOKENS]
    streams = tuple(sorted({row["streams"] for row in rows}))

    def panel(title: str, key: str) -> Panel:
        return Panel(title, streams, tuple(line(way, key) for way in _WAYS))

    def line(way: str, key: str) -> Line:
        cells = ([row[key] for row in rows if (row["way"], row["streams"]) == (way, count)] for count in streams)
        return Line(way, tuple(median(cell) for cell in cells))

    title = "One H200, a very light model, prompts of 1,000 tokens"
    left, right = panel("Output tokens/s", "tokens_per_s"), panel("Time to first token, p50, ms", "ttft_p50_ms")
    _PICTURE.write_text(draw_panels(title, left, right))


if __name__ == "__main__":
    main()
