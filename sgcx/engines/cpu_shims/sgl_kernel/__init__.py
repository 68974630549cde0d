"""Stands in for sglang-kernel, whose wheel is CUDA only: what SGLang imports from it on a CPU.

0.5.10.post1 calls nothing of it. From 0.5.16 on, SGLang lists the KV slots of requests with one of its functions; the
others belong to speculation, which a CPU engine does not do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .absent import absent

if TYPE_CHECKING:
    from torch import Tensor

__version__ = "0.0.0+cpu"


def assign_req_to_token_pool_cpu(
    req_pool_indices: Tensor,
    req_to_token: Tensor,
    start_offset: Tensor,
    end_offset: Tensor,
    out_cache_loc: Tensor,
    _pool_len: int,
) -> None:
    """Writes `out_cache_loc`, cut into the requests' lengths, into their rows of `req_to_token`."""
    taken = 0
    spans = zip(req_pool_indices.tolist(), start_offset.tolist(), end_offset.tolist(), strict=True)
    for request, start, end in spans:
        slots = out_cache_loc[taken : taken + end - start]
        req_to_token[request, start:end] = slots.to(req_to_token.dtype)
        taken += end - start


assign_draft_cache_locs_contiguous_cpu = absent("assign_draft_cache_locs_contiguous_cpu")
assign_extend_cache_locs_cpu = absent("assign_extend_cache_locs_cpu")
build_tree_kernel_efficient_cpu = absent("build_tree_kernel_efficient_cpu")
copy_all_layer_kv_cache_cpu = absent("copy_all_layer_kv_cache_cpu")
fill_accept_out_cache_loc_cpu = absent("fill_accept_out_cache_loc_cpu")
fill_bonus_tokens_cpu = absent("fill_bonus_tokens_cpu")
rotate_input_ids_cpu = absent("rotate_input_ids_cpu")
verify_tree_greedy_cpu = absent("verify_tree_greedy_cpu")
