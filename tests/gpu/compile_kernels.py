"""Compiles SGLang's INT4 expert kernels for Hopper into its cache. Needs no GPU."""

from __future__ import annotations

import torch
from sglang.jit_kernel import utils
from sglang.jit_kernel.moe_wna16_marlin import _jit_moe_wna16_marlin_module

with utils.override_jit_cuda_arch(9, 0):
    _jit_moe_wna16_marlin_module(torch.bfloat16)
