"""Stands in for sglang-kernel, whose wheel is CUDA only: SGLang imports it on a CPU and calls nothing in it."""

from __future__ import annotations

__version__ = "0.0.0+cpu"
