"""How fast a plan will be, as ranges: a roofline with measured corrections. An estimate, and shown as one.

Decoding one token reads the weights once, and pays a fixed price for each layer: exchanges between GPUs, and starting
kernels. Published measurements of very different models on eight GPUs agree on that price, and Kimi K2.6 and
DeepSeek-R1 on eight H200s lie on either side of it (docs/performance.md). Prefill of models with experts reaches a
small share of the GPUs' arithmetic. A bench of the same model on this machine moves both, and narrows what they
promise.
"""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.planning.layout import Layout
from sgcx.planning.measured_speed import MeasuredSpeed
from sgcx.planning.memory import kv_bytes_per_token
from sgcx.planning.profile import HubCheckpoint
from sgcx.planning.weights import active_parameters, bytes_read_per_token

_BANDWIDTH_SHARE = 0.8
_LAYER_S_ALONE = 0.05e-3
_LAYER_S_NVLINK = 0.135e-3
_LAYER_S_PCIE = 0.3e-3
_UNCERTAINTY = 0.5
_TOGETHER = (0.25, 1.75)
"""Measurements with many streams lie as far below and above the model as this."""
_PREFILL_SHARES_EXPERTS = (0.02, 0.1)
_PREFILL_SHARES_DENSE = (0.1, 0.6)
_PROMPT_TOKENS = 10_000
_MEASURED_UNCERTAINTY = 0.15
"""Of a measurement, and once more for each doubling of the streams that lies between it and what is planned."""
_GB_S = 1e9
_TFLOPS = 1e12


@dataclass(frozen=True, slots=True)
class GpuSpeed:
    bandwidth_gb_s: float
    bf16_tflops: float
    fp8_tflops: float


_GPUS: tuple[tuple[str, GpuSpeed], ...] = (
    # The first name that is part of the GPU's own wins. Dense arithmetic.
    ("GB300", GpuSpeed(8000, 2500, 5000)),
    ("GB200", GpuSpeed(8000, 2500, 5000)),
    ("GB10", GpuSpeed(273, 62, 125)),
    ("B300", GpuSpeed(7750, 2250, 4500)),
    ("B200", GpuSpeed(7700, 2250, 4500)),
    ("H200", GpuSpeed(4800, 989, 1978)),
    ("H100", GpuSpeed(3350, 989, 1978)),
    ("H20", GpuSpeed(4000, 148, 296)),
    ("A100", GpuSpeed(2040, 312, 312)),
    ("RTX PRO 6000", GpuSpeed(1790, 468, 936)),
    ("L40S", GpuSpeed(864, 362, 733)),
    ("RTX 5090", GpuSpeed(1790, 210, 419)),
    ("RTX 4090", GpuSpeed(1008, 165, 330)),
    ("RTX 3090", GpuSpeed(936, 71, 71)),
    ("L4", GpuSpeed(300, 121, 242)),
)


@dataclass(frozen=True, slots=True)
class SpeedEstimate:
    """Each pair from the slow to the fast end."""

    decode_tokens_per_s: tuple[float, float]
    """Of one stream alone, with little in its context."""
    decode_tokens_per_s_full: tuple[float, float]
    """Of all running streams together."""
    streams: int
    prefill_tokens_per_s: tuple[float, float]
    time_to_first_token_s: tuple[float, float]
    """For a prompt of `prompt_tokens` that no cache holds."""
    prompt_tokens: int
    is_measured: bool = False
    """A bench of this machine is behind it."""


def estimate_speed(
    checkpoint: HubCheckpoint,
    layout: Layout,
    streams: int,
    *,
    linked_by_nvlink: bool,
    measured: MeasuredSpeed | None = None,
) -> SpeedEstimate | None:
    """None for a GPU whose figures are not known."""
    gpu = gpu_speed(layout.gpus[0].name)
    if gpu is None:
        return None
    roofline = _Roofline(checkpoint, layout, gpu, linked_by_nvlink)
    if measured is None:
        prefill = roofline.prefill_tokens_per_s()
        alone = _around(roofline.decode_tokens_per_s(1), _UNCERTAINTY)
        full = roofline.decode_tokens_per_s(streams)
        together = (full * _TOGETHER[0], full * _TOGETHER[1])
    else:
        prefill = _around(measured.prefill_tokens_per_s, _MEASURED_UNCERTAINTY)
        alone, together = (_from_measurement(measured, roofline, count) for count in (1, streams))
    return SpeedEstimate(
        decode_tokens_per_s=alone,
        decode_tokens_per_s_full=together,
        streams=streams,
        prefill_tokens_per_s=prefill,
        time_to_first_token_s=(_PROMPT_TOKENS / prefill[1], _PROMPT_TOKENS / prefill[0]),
        prompt_tokens=_PROMPT_TOKENS,
        is_measured=measured is not None,
    )


def gpu_speed(name: str) -> GpuSpeed | None:
    return next((speed for known, speed in _GPUS if known in name), None)


@dataclass(frozen=True, slots=True)
class _Roofline:
    checkpoint: HubCheckpoint
    layout: Layout
    gpu: GpuSpeed
    linked_by_nvlink: bool

    def decode_tokens_per_s(self, streams: int) -> float:
        """Of all of them together."""
        architecture, parallelism = self.checkpoint.architecture, self.layout.settings.parallelism
        bandwidth = self.gpu.bandwidth_gb_s * _GB_S * _BANDWIDTH_SHARE
        weights = bytes_read_per_token(architecture, self.checkpoint.quantization, streams)
        cached_tokens = min(self.layout.fit.max_total_num_tokens, streams * _PROMPT_TOKENS)
        cache = cached_tokens * kv_bytes_per_token(self.checkpoint, self.layout.settings) * parallelism.pp_size
        read_s = (weights / parallelism.tp_size + cache) / bandwidth
        return streams / (read_s + architecture.layers * self._layer_s())

    def prefill_tokens_per_s(self) -> tuple[float, float]:
        architecture = self.checkpoint.architecture
        tflops = self.gpu.bf16_tflops if self.checkpoint.quantization == "bf16" else self.gpu.fp8_tflops
        arithmetic = tflops * _TFLOPS * self.layout.settings.parallelism.tp_size
        limit = arithmetic / (2 * active_parameters(architecture))
        slow, fast = _PREFILL_SHARES_DENSE if architecture.experts is None else _PREFILL_SHARES_EXPERTS
        return limit * slow, limit * fast

    def _layer_s(self) -> float:
        if self.layout.settings.parallelism.tp_size == 1:
            return _LAYER_S_ALONE
        return _LAYER_S_NVLINK if self.linked_by_nvlink else _LAYER_S_PCIE


def _from_measurement(measured: MeasuredSpeed, roofline: _Roofline, streams: int) -> tuple[float, float]:
    """The nearest number of streams that was measured, carried over to this one as the roofline grows."""
    rate, doublings = measured.nearest(streams)
    growth = roofline.decode_tokens_per_s(streams) / roofline.decode_tokens_per_s(rate.streams)
    expected, uncertainty = rate.tokens_per_s * growth, _MEASURED_UNCERTAINTY * (1 + doublings)
    return expected * max(_TOGETHER[0], 1 - uncertainty), expected * min(_TOGETHER[1], 1 + uncertainty)


def _around(value: float, uncertainty: float) -> tuple[float, float]:
    return value * (1 - uncertainty), value * (1 + uncertainty)
