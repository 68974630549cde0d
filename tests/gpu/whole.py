"""Whole models on eight GPUs: the true layers, all of them, with weights that mean nothing.

Each start is the one that `sgcx plan` decides on for the machine it runs on; only the checkpoint's path and how it
is loaded differ. The image encoder's code comes with the checkpoint, so Kimi K2.6 is its text part.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import orjson
from checkpoints import write_checkpoint
from prompts import text
from serving import WITHOUT_MULTICAST, Server, started
from speed import summary
from truth import reported

from sgcx.bench.load import Load, percentile, run_load
from sgcx.bench.wire import Target
from sgcx.hardware.detect import detect_hardware
from sgcx.paths import Paths
from sgcx.planning.plan import LaunchPlan, Wishes
from sgcx.server.child_config import CONFIG_NAME
from sgcx.workflows.launch_command import UpOptions, launch_recipe
from sgcx.workflows.planning import make_plan

OUTPUT_TOKENS = 256
_CONTEXTS = (4_000, 32_000, 128_000)
_STREAMS = (1, 8, 32)
_TAIL_TOKENS = 500
_LAYERS = 61
_READY_S = 560
_MODELS = "whole_models"
_USUAL = Path(__file__).parents[1] / "machines" / "8xH200.json"
_CHANGED = ("--load-format", "dummy", *WITHOUT_MULTICAST)
_NAMES = (
    *("tp_size", "context_length", "kv_cache_dtype", "chunked_prefill_size", "cuda_graph_max_bs"),
    "mem_fraction_static",
)
# The published Kimi K2.6 takes images, for which SGLang captures no prefill graphs; its text part alone would.
_AS_WITH_IMAGES = ("--disable-piecewise-cuda-graph",)
_FP8_CACHE = ("--kv-cache-dtype", "fp8_e4m3", "--attention-backend", "triton", "--disable-piecewise-cuda-graph")


@dataclass(frozen=True)
class Whole:
    name: str
    profile: str
    shape: str
    wishes: Wishes
    changed: tuple[str, ...] = ()
    loads: bool = True


WHOLE = (
    Whole("r1", "deepseek-r1", "deepseek-r1", Wishes()),
    Whole("kimi", "kimi-k2.6", "kimi-k2.6-text", Wishes(), _AS_WITH_IMAGES),
    Whole("r1-latency", "deepseek-r1", "deepseek-r1", Wishes(prefer="latency"), loads=False),
    Whole("kimi-4-sessions", "kimi-k2.6", "kimi-k2.6-text", Wishes(concurrency=4), _AS_WITH_IMAGES, loads=False),
    Whole("r1-fp8-cache", "deepseek-r1", "deepseek-r1", Wishes(), _FP8_CACHE, loads=False),
)


def measure(scratch: Path, wanted: Sequence[Whole], out: Path, *, port: int) -> list[dict[str, object]]:
    """What is known so far is in `out` after every step: a machine may be taken away."""
    rows: list[dict[str, object]] = []
    for number, whole in enumerate(wanted):
        row: dict[str, object] = {"name": whole.name}
        rows.append(row)
        try:
            _measure(scratch / whole.name, whole, row, port + 20 * number, partial(_save, out, rows))
        except Exception as error:
            row["failure"] = str(error)[-3000:]
        _save(out, rows)
        print(json.dumps(row)[:1500], flush=True)
    return rows


def _measure(directory: Path, whole: Whole, row: dict[str, object], port: int, save: Callable[[], None]) -> None:
    write_checkpoint(directory / "checkpoint", whole.shape, _LAYERS)
    paths = Paths(directory / "data", directory / "state", directory / "config")
    outcome = _plan(whole, paths, row)
    recipe = launch_recipe(outcome, UpOptions(name=whole.name, port=port, authentication=False), paths)
    argv = _argv(recipe.child.sglang_argv, directory / "checkpoint", whole)
    child = replace(recipe.child, sglang_argv=argv, store_path=None, sealing_key_path=None)
    config = directory / CONFIG_NAME
    config.write_text(child.to_json())
    row.update(_settings(argv), shape=whole.shape, layers=_LAYERS, plan=outcome.to_json(), argv=argv)
    log = directory / "server.log"
    command = [sys.executable, "-m", "sgcx.server.child", str(config)]
    environment = {**recipe.environment, "SGLANG_EXTERNAL_MODEL_PACKAGE": _MODELS}
    try:
        with started(directory, command, port, ready_s=_READY_S, **environment) as server:
            row.update(stages=dict(server.stage_seconds), log=reported(log), gpu_used_bytes=_used_bytes())
            save()
            if whole.loads:
                row["loads"] = _loads(server, child.served_model_name, save, row)
    finally:
        row["log"] = reported(log)


def _plan(whole: Whole, paths: Paths, row: dict[str, object]) -> LaunchPlan:
    """Where this machine as it is gets no plan, the row says why, and a usual one with eight H200s stands in."""
    for machine in (None, _USUAL):
        outcome = make_plan(whole.profile, whole.wishes, paths=paths, hardware_file=machine).outcome
        if isinstance(outcome, LaunchPlan):
            return outcome
        row["refused"] = outcome.reason
    raise RuntimeError(f"no plan: {row['refused']}")


def _argv(planned: tuple[str, ...], checkpoint: Path, whole: Whole) -> tuple[str, ...]:
    position = planned.index("--model-path") + 1
    return (*planned[:position], str(checkpoint), *planned[position + 1 :], *_CHANGED, *whole.changed)


def _settings(argv: tuple[str, ...]) -> dict[str, str]:
    """What came last counts, as for SGLang's own parser."""
    last = len(argv) - 1
    return {name: argv[last - argv[::-1].index(f"--{name.replace('_', '-')}") + 1] for name in _NAMES}


def _used_bytes() -> list[int]:
    return [gpu.used_bytes for gpu in detect_hardware(Path.cwd()).gpus]


def _loads(server: Server, model: str, save: Callable[[], None], row: dict[str, object]) -> list[dict[str, object]]:
    """For each context: the prompt that nobody knows yet, then streams that share it, as the turns of a session do."""
    target = Target(server.base_url, "responses")
    rows: list[dict[str, object]] = []
    row["loads"] = rows
    run_load(target, [_body(model, 2_000, f"warm-up {index}") for index in range(8)], streams=8)
    for context in _CONTEXTS:
        first = run_load(target, [_body(model, context, "first")], streams=1)
        rows.append({"context": context, "streams": 0, **_summary(first)})
        for streams in _STREAMS:
            bodies = [_body(model, context, f"{streams} {index}") for index in range(streams)]
            load = run_load(target, bodies, streams=streams, processes=8)
            rows.append({"context": context, "streams": streams, **_summary(load)})
            print(rows[-1], flush=True)
            save()
    return rows


def _summary(load: Load) -> dict[str, object]:
    rates = [
        (timing.output_tokens - 1) / (timing.total_s - timing.first_token_s)
        for timing in load.timings
        if timing.output_tokens > 1
    ]
    return {
        **summary(load),
        "input_tokens": max((timing.input_tokens for timing in load.timings), default=0),
        "cached_tokens": min((timing.cached_tokens for timing in load.timings), default=0),
        "decode_p50_tokens_per_s": round(percentile(rates, 0.5), 1),
        "wall_s": round(load.wall_s, 2),
    }


def _body(model: str, prompt_tokens: int, tail: str) -> bytes:
    """Temperature 1 over weights without meaning: every stream goes its own way."""
    prompt = text(prompt_tokens - _TAIL_TOKENS) + f"\n# {tail}\n" * (_TAIL_TOKENS // 8)
    return orjson.dumps(
        {
            "model": model, "stream": True, "store": False, "input": prompt, "temperature": 1.0, "top_p": 1.0,
            "max_output_tokens": OUTPUT_TOKENS, "reasoning": {"effort": "medium"},
        }
    )  # fmt: skip


def _save(out: Path, rows: list[dict[str, object]]) -> None:
    out.write_text(json.dumps(rows, indent=1))


def main(out: Path, names: Sequence[str]) -> int:
    wanted = [next(each for each in WHOLE if each.name == name) for name in names] or list(WHOLE)
    (out / "hardware.json").write_text(json.dumps(detect_hardware(Path.cwd()).to_json(), indent=1))
    with tempfile.TemporaryDirectory(prefix="whole-") as scratch:
        rows = measure(Path(scratch), wanted, out / "whole.json", port=36000)
        for each in wanted:
            shutil.copyfile(Path(scratch) / each.name / "server.log", out / f"{each.name}.log")
    return sum("failure" in row for row in rows)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
