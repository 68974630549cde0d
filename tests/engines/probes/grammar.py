"""SGLang's use of xgrammar on a CPU. Runs in the engine's Python."""

from __future__ import annotations

import torch
from sglang.srt.constrained.xgrammar_backend import XGrammarGrammar


def cpu_grammar():
    """The tokens that stay possible where a mask allows the second and the fourth."""
    logits = torch.zeros(1, 32)
    XGrammarGrammar.apply_vocab_mask(None, logits, torch.tensor([[0b1010]], dtype=torch.int32))
    return torch.isfinite(logits[0]).nonzero().flatten().tolist()


PROBES = {"cpu-grammar": cpu_grammar}
