"""How SGLang starts its other processes. Runs in the engine's Python."""

from __future__ import annotations

import multiprocessing
from types import SimpleNamespace

from sglang.srt.entrypoints import engine


def cpu_fork():
    """By device."""
    return {device: _start_method(device) for device in ("cpu", "cuda")}


def _start_method(device: str) -> str:
    arguments = {"enable_symm_mem": False, "enable_nccl_nvls": False, "enable_metrics": False}
    engine._set_envs_and_config(
        SimpleNamespace(device=device, attention_backend="torch_native", custom_sigquit_handler=None, **arguments)
    )
    return multiprocessing.get_start_method()


PROBES = {"cpu-fork": cpu_fork}
