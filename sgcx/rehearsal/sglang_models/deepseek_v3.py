"""SGLang's own DeepSeek-V3, whose next token is then decided by the script.

Embedding, latent attention, experts, KV pool, radix cache, scheduler and sampler all run for real; only the last
logits are overwritten. On a GPU it needs --disable-cuda-graph: a captured graph replays without this code.

What a request has said so far is read from a table with the same index as the KV pool: one token id for every KV
slot, so prefix hits, chunks, batches and requests put back are right for the same reason that attention is right.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any  # SGLang's objects have no types to name

import torch
from sglang.srt.layers.attention.torch_native_backend import TorchNativeAttnBackend
from sglang.srt.models.deepseek_common import attention_backend_handler
from sglang.srt.models.deepseek_v2 import DeepseekV3ForCausalLM as RealDeepseekV3
from tokenizers import Tokenizer

from sgcx.rehearsal import prefill_attention
from sgcx.rehearsal.playback import Playback, Script
from sgcx.rehearsal.rules import BUILT_IN, SCRIPT_VARIABLE
from sgcx.rehearsal.sglang_batch import checkpoint_directory, pools

_CHOSEN = 1e4

# For torch_native SGLang falls back to triton's choice, plain attention on a fresh prompt, which torch_native cannot
# do over a latent KV pool: always take the absorbed form.
attention_backend_handler.AttentionBackendRegistry.register(
    "torch_native", lambda attention, batch: attention_backend_handler._dispatch_mla_subtype(attention, batch)
)
TorchNativeAttnBackend._run_sdpa_forward_extend = prefill_attention.run_extend


class _CheckpointTokens:
    def __init__(self, checkpoint: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=False)
        return text


class _Director:
    """Keeps the table of tokens and overwrites the logits."""

    def __init__(self, kv_slots: int) -> None:
        script = Script(Path(os.environ.get(SCRIPT_VARIABLE) or BUILT_IN))
        self._playback = Playback(script, _CheckpointTokens(checkpoint_directory()))
        self._token_of_slot = torch.zeros(kv_slots, dtype=torch.int64)

    def direct(self, input_ids: torch.Tensor, batch: Any, slots_of_request: torch.Tensor, logits: torch.Tensor) -> None:
        self._token_of_slot[batch.out_cache_loc.cpu()] = input_ids.cpu().to(torch.int64)
        fresh = not batch.forward_mode.is_decode()
        rows, chosen, delay_s = [], [], 0.0
        second_rows, second = [], []
        for row, (request, length) in enumerate(
            zip(batch.req_pool_indices.tolist(), batch.seq_lens.tolist(), strict=True)
        ):
            sequence = partial(self._sequence, slots_of_request, request, length)
            cue = self._playback.cue(request, length, sequence, fresh=fresh)
            if cue is not None:
                rows.append(row)
                chosen.append(cue.token)
                delay_s = max(delay_s, cue.delay_s)
                if cue.otherwise is not None:
                    second_rows.append(row)
                    second.append(cue.otherwise)
        logits[rows] = -_CHOSEN
        logits[second_rows, second] = 0.0
        logits[rows, chosen] = _CHOSEN
        time.sleep(delay_s)

    def _sequence(self, slots_of_request: torch.Tensor, request: int, length: int) -> list[int]:
        tokens: list[int] = self._token_of_slot[slots_of_request[request, :length].long().cpu()].tolist()
        return tokens


# SGLang finds the class by the name of the architecture; its own class has no types.
class DeepseekV3ForCausalLM(RealDeepseekV3):  # type: ignore[misc]
    _director: _Director | None = None

    def forward(self, input_ids: Any, positions: Any, forward_batch: Any, *rest: Any, **options: Any) -> Any:
        output = super().forward(input_ids, positions, forward_batch, *rest, **options)
        requests, kv_pool = pools(forward_batch)
        if self._director is None:
            self._director = _Director(kv_pool.size + kv_pool.page_size)
        self._director.direct(input_ids, forward_batch, requests.req_to_token, output.next_token_logits)
        return output


EntryClass = DeepseekV3ForCausalLM
