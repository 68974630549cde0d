"""Grammars on a CPU, in releases of SGLang that apply xgrammar's masks on accelerators only.

From 0.5.11 on SGLang calls `apply_masks_on_a_cpu` as a plugin in the processes that need it. Without it the first
request with a grammar ends the scheduler of 0.5.11 and 0.5.16. 0.5.20 has a branch for a CPU, and 0.5.10.post1, which
knows no plugins, sgcx's patch `cpu-grammar`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def apply_masks_on_a_cpu() -> None:
    """Changes nothing in an engine for another device, nor where SGLang has a branch for a CPU itself."""
    if os.environ.get("SGLANG_USE_CPU_ENGINE") != "1":
        return
    import torch
    from sglang.srt.constrained.xgrammar_backend import XGrammarGrammar

    try:
        XGrammarGrammar.apply_vocab_mask(None, torch.zeros(1, 32), torch.zeros(1, 1, dtype=torch.int32))
    except RuntimeError:
        XGrammarGrammar.apply_vocab_mask = _apply_vocab_mask


def _apply_vocab_mask(_grammar: object, logits: Tensor, vocab_mask: Tensor) -> None:
    from xgrammar import apply_token_bitmask_inplace

    apply_token_bitmask_inplace(logits, vocab_mask)
