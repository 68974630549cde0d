"""What SGLang reports when it starts: weights, cache and graphs of each rank, for many settings.

Only reported here; what the planner predicts for the same settings is computed from the planner itself
(`tables.py`), on any machine.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from checkpoints import write_checkpoint
from serving import WITHOUT_MULTICAST

_LINES = re.compile(
    r"Init torch distributed ends|Load weight (?:begin|end)|KV Cache is allocated|Memory pool end|"
    r"Capture \S*\s?cuda graph end|max_total_num_tokens=",
    re.IGNORECASE,
)
_DEADLINE_S = 240


@dataclass(frozen=True)
class Setting:
    shape: str
    layers: int
    tp_size: int = 1
    context_length: int = 131072
    kv_cache_dtype: str = "auto"
    chunked_prefill_size: int = 8192
    cuda_graph_max_bs: int = 16
    mem_fraction_static: float = 0.85
    graphs: bool = True
    """False ends the start when the cache is allocated: compiling INT4 kernels for a first graph takes minutes."""

    @property
    def ends_with(self) -> str:
        return "available_gpu_mem=" if self.graphs else "Memory pool end"


def measure(scratch: Path, settings: list[Setting], *, gpus: list[str], base_port: int) -> list[dict[str, object]]:
    """As many starts at a time as there are GPUs for them."""
    for setting in settings:
        write_checkpoint(_checkpoint(scratch, setting), setting.shape, setting.layers)
    numbered = list(enumerate(settings))
    rows: list[dict[str, object]] = []
    for tp_size in sorted({setting.tp_size for setting in settings}):
        slots: SimpleQueue[list[str]] = SimpleQueue()
        for first in range(0, len(gpus) - tp_size + 1, tp_size):
            slots.put(gpus[first : first + tp_size])
        start = partial(_in_slot, scratch, slots, base_port)
        with ThreadPoolExecutor(len(gpus) // tp_size) as pool:
            rows += pool.map(start, [each for each in numbered if each[1].tp_size == tp_size])
    return rows


def _in_slot(
    scratch: Path, slots: SimpleQueue[list[str]], base_port: int, numbered: tuple[int, Setting]
) -> dict[str, object]:
    number, setting = numbered
    gpus = slots.get()
    try:
        return _start(scratch, setting, gpus, base_port + 20 * number)
    finally:
        slots.put(gpus)


def _checkpoint(scratch: Path, setting: Setting) -> Path:
    return scratch / "checkpoints" / f"{setting.shape}-{setting.layers}"


def _start(scratch: Path, setting: Setting, gpus: list[str], port: int) -> dict[str, object]:
    argv = [
        *(sys.executable, "-m", "sglang.launch_server", "--model-path", str(_checkpoint(scratch, setting))),
        *("--load-format", "dummy", "--attention-backend", "triton", "--skip-server-warmup", *WITHOUT_MULTICAST),
        *("--host", "127.0.0.1", "--port", str(port), "--nccl-port", str(port + 7)),
        *("--tp-size", str(setting.tp_size), "--context-length", str(setting.context_length)),
        *("--kv-cache-dtype", setting.kv_cache_dtype, "--mem-fraction-static", str(setting.mem_fraction_static)),
        *("--chunked-prefill-size", str(setting.chunked_prefill_size)),
        *("--cuda-graph-max-bs", str(setting.cuda_graph_max_bs), "--max-running-requests", "8"),
    ]
    log = scratch / f"truth-{port}.log"
    begun = time.monotonic()
    with log.open("wb") as out:
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(gpus)}
        child = subprocess.Popen(argv, stdout=out, stderr=out, env=environment, start_new_session=True)
    try:
        while child.poll() is None and time.monotonic() < begun + _DEADLINE_S:
            if setting.ends_with in log.read_text(errors="replace"):
                break
            time.sleep(0.3)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    text = log.read_text(errors="replace")
    row: dict[str, object] = {**asdict(setting), "seconds": round(time.monotonic() - begun, 1), "log": reported(log)}
    if setting.ends_with not in text:
        row["failure"] = text[-1500:]
    print(row, flush=True)
    return row


def reported(log: Path) -> list[str]:
    """The lines in which SGLang says what it loaded, allocated and captured."""
    lines = re.split(r"[\n\r]", log.read_text(errors="replace")) if log.exists() else []
    return [line[-400:] for line in lines if _LINES.search(line) and "server_args=" not in line]
