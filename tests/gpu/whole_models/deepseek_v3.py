"""SGLang's own DeepSeek-V3 with dummy weights that spread tokens over the experts.

The loader's own random values are so small that one bias decides for every token: all would go to the same eight
experts, and a full batch would read no more weights than one stream.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from sglang.srt.models.deepseek_v2 import DeepseekV3ForCausalLM as RealDeepseekV3


class DeepseekV3ForCausalLM(RealDeepseekV3):
    def post_load_weights(self, is_nextn: bool = False, weight_names: Iterable[str] | None = None) -> None:
        super().post_load_weights(is_nextn=is_nextn, weight_names=weight_names)
        generator = torch.Generator("cuda").manual_seed(1)  # every rank must send a token to the same experts
        for name, parameter in self.named_parameters():
            if name.endswith("norm.weight"):
                parameter.data.fill_(1.0)
            elif name.endswith("e_score_correction_bias"):
                parameter.data.zero_()
            elif name.endswith(("mlp.gate.weight", "embed_tokens.weight")):
                parameter.data.normal_(generator=generator)


EntryClass = DeepseekV3ForCausalLM
