"""Kernels: which attention and expert implementations a GPU runs a model with."""

from __future__ import annotations

from sgcx.planning.architecture import MlaAttention
from sgcx.planning.plan import Decision
from sgcx.planning.profile import HubCheckpoint
from sgcx.planning.snapshot import GpuSnapshot

PAGE_TOKENS = 64
_HOPPER = 9
_DATACENTER_BLACKWELL = 10


def attention_backend(checkpoint: HubCheckpoint, gpu: GpuSnapshot) -> Decision:
    """SGLang's own choice, written down so that it is the same after an upgrade and on every node."""
    major = gpu.compute_capability[0]
    latent = isinstance(checkpoint.architecture.attention, MlaAttention)
    if major == _HOPPER:
        return _attention("fa3", "FlashAttention 3 is the fastest on Hopper")
    if major == _DATACENTER_BLACKWELL:
        name = "trtllm_mla" if latent else "trtllm_mha"
        return _attention(name, "TensorRT-LLM's kernels are the fastest on B200 and B300")
    if latent:
        return _attention("triton", "the latent attention that every other GPU runs")
    return _attention("flashinfer", "the fastest for grouped queries before Hopper, and on RTX Blackwell")


def page_size(attention: Decision) -> Decision | None:
    """None: tokens are kept and found one by one."""
    if str(attention.value).startswith("trtllm"):
        return Decision("page_size", PAGE_TOKENS, "TensorRT-LLM's kernels read the cache in pages of so many tokens")
    return None


def moe_runner_backend(checkpoint: HubCheckpoint, gpu: GpuSnapshot) -> Decision | None:
    """None leaves it to the weights' format: Marlin for INT4, Triton or DeepGEMM for FP8."""
    formats = ("fp8", "nvfp4", "int4")
    fast = gpu.compute_capability[0] == _DATACENTER_BLACKWELL and checkpoint.quantization in formats
    if checkpoint.architecture.experts is None or not fast:
        return None
    return Decision("moe_runner_backend", "flashinfer_trtllm", "TensorRT-LLM's expert kernels, for B200 and B300")


def _attention(name: str, because: str) -> Decision:
    return Decision("attention_backend", name, because)
