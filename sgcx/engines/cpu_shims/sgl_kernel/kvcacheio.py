"""The names that SGLang's memory pool imports: copies between GPU and host memory, which a CPU engine never makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn


def _unavailable(name: str) -> Callable[..., NoReturn]:
    def kernel(*_arguments: object, **_options: object) -> NoReturn:
        raise RuntimeError(f"sgl_kernel.kvcacheio.{name} is a CUDA kernel, and this engine runs on the CPU")

    kernel.__name__ = name
    return kernel


transfer_kv_all_layer = _unavailable("transfer_kv_all_layer")
transfer_kv_all_layer_direct_lf_pf = _unavailable("transfer_kv_all_layer_direct_lf_pf")
transfer_kv_all_layer_lf_pf = _unavailable("transfer_kv_all_layer_lf_pf")
transfer_kv_all_layer_lf_ph = _unavailable("transfer_kv_all_layer_lf_ph")
transfer_kv_all_layer_mla = _unavailable("transfer_kv_all_layer_mla")
transfer_kv_all_layer_mla_lf_pf = _unavailable("transfer_kv_all_layer_mla_lf_pf")
transfer_kv_direct = _unavailable("transfer_kv_direct")
transfer_kv_per_layer = _unavailable("transfer_kv_per_layer")
transfer_kv_per_layer_direct_pf_lf = _unavailable("transfer_kv_per_layer_direct_pf_lf")
transfer_kv_per_layer_mla = _unavailable("transfer_kv_per_layer_mla")
transfer_kv_per_layer_mla_pf_lf = _unavailable("transfer_kv_per_layer_mla_pf_lf")
transfer_kv_per_layer_pf_lf = _unavailable("transfer_kv_per_layer_pf_lf")
transfer_kv_per_layer_ph_lf = _unavailable("transfer_kv_per_layer_ph_lf")
