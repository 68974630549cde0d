"""Causal attention over a latent KV pool, in blocks: in place of SGLang's `torch_native` prefill.

That one widens the queries of a chunk to the whole sequence, prefix included: 16 thousand tokens in the cache take
tens of GiB and a minute per chunk. This one computes the rows of the chunk and holds one block of scores at a time.
"""

from __future__ import annotations

import torch

_MOST_SCORES = 1 << 22
"""Scores held at once: 16 MiB of float32, so that softmax finds them in the cache."""


def run_extend(
    _backend: object,
    query: torch.Tensor,
    output: torch.Tensor,
    k_cache: torch.Tensor,
    v_cache: torch.Tensor,
    req_to_token: torch.Tensor,
    req_pool_indices: torch.Tensor,
    seq_lens: torch.Tensor,
    extend_prefix_lens: torch.Tensor,
    extend_seq_lens: torch.Tensor,
    _encoder_lens: None = None,
    *,
    scaling: float,
    enable_gqa: bool,
    causal: bool,
    **_newer: object,
) -> torch.Tensor:
    """Takes what `TorchNativeAttnBackend._run_sdpa_forward_extend` takes: every request's new tokens in one row.

    Newer SGLang tells of encoders and sliding windows too, which this checkpoint has none of.
    """
    if not causal or k_cache.shape[1] != 1:
        raise NotImplementedError(f"only causal attention over a latent cache ({causal=}, {enable_gqa=})")
    start = 0
    lengths = zip(
        req_pool_indices.tolist(),
        seq_lens.tolist(),
        extend_prefix_lens.tolist(),
        extend_seq_lens.tolist(),
        strict=True,
    )
    for request, length, prefix, added in lengths:
        slots = req_to_token[request, :length].long()
        keys, values = k_cache[slots, 0].float(), v_cache[slots, 0].float()
        _attend(query[start : start + added], output[start : start + added], keys, values, prefix, scaling)
        start += added
    return output


def _attend(
    query: torch.Tensor, output: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, prefix: int, scaling: float
) -> None:
    rows = query.movedim(1, 0).float() * scaling
    block = max(16, _MOST_SCORES // (len(keys) * len(rows)))
    for start in range(0, len(query), block):
        end = min(start + block, len(query))
        scores = rows[:, start:end] @ keys[: prefix + end].T
        future = torch.ones(end - start, end - start, dtype=torch.bool).triu(1)
        scores[:, :, prefix + start :].masked_fill_(future, float("-inf"))
        output[start:end] = (torch.softmax(scores, -1) @ values[: prefix + end]).movedim(0, 1).to(output.dtype)
