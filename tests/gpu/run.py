"""Runs stages on a machine with an NVIDIA GPU and leaves one JSON file for each: `python run.py OUT STAGE…`."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import contract
import parallel
import prefix
import speed
import truth
from checkpoints import write_checkpoint
from serving import visible_gpus
from truth import Setting

_KIMI_4 = Setting("kimi-int4", 4, graphs=False)
SETTINGS = [
    Setting("kimi-small", 4),
    *(replace(_KIMI_4, layers=layers) for layers in (2, 4, 8)),
    *(Setting("r1-fp8", layers) for layers in (4, 6)),
    replace(_KIMI_4, context_length=32768),
    replace(_KIMI_4, kv_cache_dtype="fp8_e4m3"),
    replace(_KIMI_4, chunked_prefill_size=16384),
    replace(_KIMI_4, cuda_graph_max_bs=64),
    replace(_KIMI_4, mem_fraction_static=0.7),
    Setting("r1-fp8", 4, kv_cache_dtype="fp8_e4m3"),
]
SEVERAL_GPU_SETTINGS = [
    Setting(shape, 8, tp_size=tp_size, graphs=False) for tp_size in (2, 4) for shape in ("kimi-int4", "r1-fp8")
]


def _speed(scratch: Path) -> object:
    checkpoint = scratch / "qwen-fast"
    write_checkpoint(checkpoint, "qwen-fast", 8)
    return speed.measure(scratch, checkpoint, port=31000)


def _releases(scratch: Path) -> object:
    checkpoint = scratch / "qwen-fast"
    write_checkpoint(checkpoint, "qwen-fast", 8)
    return speed.measure_releases(scratch, checkpoint, port=31300)


def _contract(scratch: Path) -> object:
    checkpoint = scratch / "kimi-small"
    write_checkpoint(checkpoint, "kimi-small", 4)
    return contract.measure(scratch, checkpoint, port=35000, tp_size=1)


def _contract_of_two(scratch: Path) -> object:
    checkpoint = scratch / "kimi-small"
    write_checkpoint(checkpoint, "kimi-small", 4)
    return contract.measure(scratch, checkpoint, port=35100, tp_size=2)


def _codex(scratch: Path) -> object:
    # It needs pytest and a Codex, which the other stages do without.
    import codex_workflows

    checkpoint = scratch / "kimi-small"
    write_checkpoint(checkpoint, "kimi-small", 4)
    return codex_workflows.measure(scratch, checkpoint, port=36000)


def _prefix(scratch: Path) -> object:
    checkpoint = scratch / "kimi-small"
    write_checkpoint(checkpoint, "kimi-small", 4)
    return prefix.measure(scratch, checkpoint, port=32000)


def _truth(scratch: Path) -> object:
    gpus = visible_gpus()
    if len(gpus) == 1:
        return truth.measure(scratch, SETTINGS, gpus=gpus, base_port=33000)
    several = [setting for setting in SEVERAL_GPU_SETTINGS if setting.tp_size <= len(gpus)]
    return truth.measure(scratch, several, gpus=gpus, base_port=33000)


def _parallel(scratch: Path) -> object:
    checkpoint = scratch / "kimi-small"
    write_checkpoint(checkpoint, "kimi-small", 8)
    return parallel.measure(scratch, checkpoint, port=34000)


STAGES: dict[str, Callable[[Path], object]] = {
    "speed": _speed,
    "releases": _releases,
    "contract": _contract,
    "contract-tp2": _contract_of_two,
    "codex": _codex,
    "prefix": _prefix,
    "truth": _truth,
    "parallel": _parallel,
}


def main(out: Path, names: list[str]) -> int:
    """A stage that fails leaves its error in its file, and the next one runs."""
    failed = 0
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"{name}-", ignore_cleanup_errors=True) as scratch:
            try:
                result = STAGES[name](Path(scratch))
            except Exception:
                result = {"failure": traceback.format_exc()[-4000:]}
                print(result["failure"], flush=True)
                failed += 1
        (out / f"{name}.json").write_text(json.dumps(result, indent=1))
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
