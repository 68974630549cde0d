"""Tables for `docs/performance.md` from the JSON files that the stages leave: `tables.py STAGE FILE…`.

Needs `PYTHONPATH=.:tests`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

from checkpoints import SHAPES
from recorded_machines import recorded_machine

from sgcx.planning.checkpoint_config import parse_checkpoint_config
from sgcx.planning.memory import GIB, Settings, overhead_bytes
from sgcx.planning.weights import Parallelism, weights_per_gpu

Row = dict[str, object]


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(map(str, header)), *(list(map(str, row)) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def truth(rows: list[Row]) -> str:
    return table(
        ("shape", "layers", "tp", "KV dtype", "context", "chunk", "fraction",
         "weights GiB: plan", "SGLang", "off by", "tokens: plan", "SGLang", "off by"),
        map(_truth_row, rows),
    )  # fmt: skip


def _truth_row(row: Row) -> tuple[object, ...]:
    config = {**SHAPES[str(row["shape"])], "num_hidden_layers": row["layers"]}
    checkpoint = parse_checkpoint_config(config, origin=str(row["shape"]))
    tp_size, fraction = int(str(row["tp_size"])), float(str(row["mem_fraction_static"]))
    weights = weights_per_gpu(checkpoint.architecture, checkpoint.quantization, Parallelism(tp_size)) / GIB
    element_bytes = 1 if row["kv_cache_dtype"] == "fp8_e4m3" else 2
    base = (_free_bytes() - overhead_bytes(_settings(row, tp_size))) / GIB
    tokens = int((base * fraction - weights) * GIB / (576 * checkpoint.architecture.layers * element_bytes))
    log = "\n".join(map(str, row["log"] if isinstance(row["log"], list) else []))
    seen_weights = _number(r"mem usage=([\d.]+) GB\.", log)
    seen_tokens = _number(r"#tokens: (\d+)", log)
    return (
        row["shape"], row["layers"], tp_size, row["kv_cache_dtype"], row["context_length"],
        row["chunked_prefill_size"], fraction,
        f"{weights:.2f}", f"{seen_weights:.2f}", _off(weights, seen_weights),
        f"{tokens:,}", f"{int(seen_tokens):,}", _off(tokens, seen_tokens),
    )  # fmt: skip


def _settings(row: Row, tp_size: int) -> Settings:
    return Settings(
        parallelism=Parallelism(tp_size),
        chunked_prefill_size=int(str(row["chunked_prefill_size"])),
        cuda_graph_max_bs=int(str(row["cuda_graph_max_bs"])),
        kv_cache_dtype="fp8_e4m3" if row["kv_cache_dtype"] == "fp8_e4m3" else "auto",
    )


def _free_bytes() -> int:
    """Of an idle H200, as NVML said it."""
    return recorded_machine("1xH200").gpus[0].free_bytes


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else float("nan")


def _off(predicted: float, seen: float) -> str:
    return f"{(predicted / seen - 1) * 100:+.2f} %"


def speed(rows: list[Row]) -> str:
    """The median of the repetitions of each cell, and its ratios to both chat endpoints'."""
    cells = sorted({(int(str(row["prompt_tokens"])), int(str(row["streams"]))) for row in rows})
    return table(
        (
            "prompt",
            "streams",
            "way",
            "tok/s",
            "of chat",
            "of published chat",
            "TTFT ms p50 / p99",
            "token gap ms p99",
            "longest gap ms p50 / p99",
            "CPU s per 1,000 tokens",
        ),
        (line for cell in cells for line in _cell(rows, *cell)),
    )


def _cell(rows: list[Row], prompt: int, streams: int) -> list[tuple[object, ...]]:
    def value(way: str, key: str) -> float:
        found = [
            float(str(row[key]))
            for row in rows
            if (row["way"], row["prompt_tokens"], row["streams"]) == (way, prompt, streams) and not row["failures"]
        ]
        return median(found) if found else float("nan")

    return [
        (
            f"{prompt:,}", streams, way, f"{value(way, 'tokens_per_s'):,.0f}",
            f"{value(way, 'tokens_per_s') / value('chat', 'tokens_per_s'):.2f}",
            f"{value(way, 'tokens_per_s') / value('published chat', 'tokens_per_s'):.2f}",
            f"{value(way, 'ttft_p50_ms'):,.0f} / {value(way, 'ttft_p99_ms'):,.0f}",
            f"{value(way, 'token_gap_p99_ms'):.1f}",
            f"{value(way, 'longest_gap_p50_ms'):,.0f} / {value(way, 'longest_gap_p99_ms'):,.0f}",
            f"{value(way, 'cpu_s_per_1000_tokens'):.3f}",
        )
        for way in dict.fromkeys(str(row["way"]) for row in rows)
    ]  # fmt: skip


def prefix(rows: list[Row]) -> str:
    turns = sorted({int(str(row["turn"])) for row in rows})
    return table(
        ("turn", "prompt tokens", "found in the cache: ours", "other ids", "TTFT ms: ours", "other ids"),
        (_prefix_row(rows, turn) for turn in turns if turn % 5 == 0 or turn == turns[-1]),
    )


def _prefix_row(rows: list[Row], turn: int) -> tuple[object, ...]:
    ours, other = (
        next(row for row in rows if (row["protocol"], row["turn"]) == (way, turn)) for way in ("responses", "chat")
    )
    return (
        turn, f"{ours['input_tokens']:,}", f"{ours['cached_tokens']:,}", f"{other['cached_tokens']:,}",
        ours["ttft_ms"], other["ttft_ms"],
    )  # fmt: skip


def whole(rows: list[Row]) -> str:
    """Every load of every whole model, beside what the plan said of one stream and of a full batch."""
    header = ("start", "context", "streams", "TTFT p50 s", "tok/s each, p50", "tok/s together", "plan: alone", "full")
    return table(header, (_load(row, load) for row in rows for load in _rows_of(row, "loads")))


def _load(row: Row, load: Row) -> tuple[object, ...]:
    speed = _section(_section(row, "plan"), "speed")
    alone, full = (
        "–".join(f"{float(str(end)):,.0f}" for end in _rows_of(speed, key))
        for key in ("decode_tokens_per_s", "decode_tokens_per_s_full")
    )
    new = int(str(load["input_tokens"])) - int(str(load["cached_tokens"]))
    return (
        row["name"], f"{load['input_tokens']:,}", load["streams"] or f"1, {new:,} new",
        f"{float(str(load['ttft_p50_ms'])) / 1000:.2f}", load["decode_p50_tokens_per_s"],
        f"{float(str(load['tokens_per_s'])):,.0f}", alone, full,
    )  # fmt: skip


def starts(rows: list[Row]) -> str:
    """Where the time of each start went: seconds after the command."""
    stages = ("distributed", "loading_weights", "kv_cache", "cuda_graphs", "http", "ready")
    return table(
        ("start", *stages), ((row["name"], *(_section(row, "stages")[each] for each in stages)) for row in rows)
    )


def parallel(rows: list[Row]) -> str:
    cells = {(row["tp_size"], row["streams"]): row for row in rows}
    return table(
        ("streams", "tok/s: tp 1", "tp 2", "ratio", "gap p50 ms: tp 1", "tp 2"),
        (
            _pair(streams, cells[1, streams], cells[2, streams])
            for streams in sorted({int(str(key[1])) for key in cells})
        ),
    )


def _pair(streams: int, one: Row, two: Row) -> tuple[object, ...]:
    rates = [float(str(row["tokens_per_s"])) for row in (one, two)]
    return (
        streams,
        *(f"{rate:,.0f}" for rate in rates),
        f"{rates[1] / rates[0]:.2f}",
        one["gap_p50_ms"],
        two["gap_p50_ms"],
    )


def codex(rows: list[Row]) -> str:
    return table(("workflow", "result", "requests", "input tokens", "cached", "output tokens"), map(_codex_row, rows))


def _codex_row(row: Row) -> tuple[object, ...]:
    requests = row["requests"] if isinstance(row["requests"], list) else []
    sums = [sum(each[name] for each in requests) for name in ("input_tokens", "cached_tokens", "output_tokens")]
    result = "passed" if row["passed"] else "failed"
    return (str(row["workflow"]).replace("_", " "), result, len(requests), *(f"{each:,}" for each in sums))


def _section(row: Row, key: str) -> Row:
    found = row[key]
    assert isinstance(found, dict)
    return found


def _rows_of(row: Row, key: str) -> list[Row]:
    found = row.get(key, [])
    assert isinstance(found, list)
    return found


STAGES: dict[str, Callable[[list[Row]], str]] = {
    "truth": truth,
    "speed": speed,
    "prefix": prefix,
    "codex": codex,
    "whole": whole,
    "starts": starts,
    "parallel": parallel,
}

if __name__ == "__main__":
    collected = [row for path in sys.argv[2:] for row in json.loads(Path(path).read_text())]
    sys.stdout.write(STAGES[sys.argv[1]](collected) + "\n")
