"""A model's shapes, under the names that its own `config.json` has for them. Profiles use the same names."""

from __future__ import annotations

from dataclasses import dataclass

from sgcx.planning.fields import Fields


@dataclass(frozen=True, slots=True)
class MlaAttention:
    """Latent attention: every GPU holds the whole cache, however many share the weights."""

    q_lora_rank: int
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int


@dataclass(frozen=True, slots=True)
class GqaAttention:
    """Grouped-query attention: the key-value heads are divided among the GPUs."""

    kv_heads: int
    head_dim: int


@dataclass(frozen=True, slots=True)
class Experts:
    routed: int
    per_token: int
    shared: int
    intermediate_size: int
    dense_layers: int
    """The first layers, which have no experts."""


@dataclass(frozen=True, slots=True)
class ImageEncoder:
    layers: int
    hidden_size: int
    intermediate_size: int
    attention_heads: int

    @property
    def memory_factor(self) -> float:
        """What the encoder's working memory leaves of a GPU: SGLang's own rule, from the encoder's size."""
        relative_size = self.layers * self.hidden_size**2 / (24 * 1024**2)
        return 0.95 * min(1.05, max(0.8, 1 - 0.1 * (relative_size - 1)))


@dataclass(frozen=True, slots=True)
class Architecture:
    layers: int
    hidden_size: int
    intermediate_size: int
    """Of a layer without experts."""
    vocabulary_size: int
    attention_heads: int
    attention: MlaAttention | GqaAttention
    experts: Experts | None
    prediction_layers: int
    """Layers that guess the tokens after the next one, for speculative decoding; not in `layers`."""
    tied_embeddings: bool
    image_encoder: ImageEncoder | None

    @property
    def expert_layers(self) -> int:
        return 0 if self.experts is None else self.layers - self.experts.dense_layers

    @property
    def dense_layers(self) -> int:
        return self.layers - self.expert_layers


def parse_architecture(fields: Fields) -> Architecture:
    """Reads `[architecture]` of a profile and `config.json` alike: unknown keys are the caller's business."""
    text = fields.section("text_config") if fields.has("text_config") else fields
    return Architecture(
        layers=text.whole_number("num_hidden_layers", at_least=1),
        hidden_size=text.whole_number("hidden_size", at_least=1),
        intermediate_size=text.whole_number("intermediate_size", at_least=1),
        vocabulary_size=text.whole_number("vocab_size", at_least=1),
        attention_heads=text.whole_number("num_attention_heads", at_least=1),
        attention=_attention(text),
        experts=_experts(text),
        prediction_layers=_number_or_zero(text, "num_nextn_predict_layers"),
        tied_embeddings=text.flag("tie_word_embeddings", default=False),
        image_encoder=_image_encoder(fields.section("vision_config")) if fields.has("vision_config") else None,
    )


def _attention(fields: Fields) -> MlaAttention | GqaAttention:
    if fields.has("kv_lora_rank"):
        return MlaAttention(
            q_lora_rank=fields.whole_number("q_lora_rank", at_least=1),
            kv_lora_rank=fields.whole_number("kv_lora_rank", at_least=1),
            qk_nope_head_dim=fields.whole_number("qk_nope_head_dim", at_least=1),
            qk_rope_head_dim=fields.whole_number("qk_rope_head_dim", at_least=1),
            v_head_dim=fields.whole_number("v_head_dim", at_least=1),
        )
    heads = fields.whole_number("num_attention_heads", at_least=1)
    return GqaAttention(
        kv_heads=fields.whole_number("num_key_value_heads", at_least=1),
        head_dim=(
            fields.whole_number("head_dim", at_least=1)
            if fields.has("head_dim")
            else fields.whole_number("hidden_size", at_least=1) // heads
        ),
    )


def _experts(fields: Fields) -> Experts | None:
    if not fields.has("n_routed_experts"):
        return None
    experts = Experts(
        routed=fields.whole_number("n_routed_experts", at_least=1),
        per_token=fields.whole_number("num_experts_per_tok", at_least=1),
        shared=_number_or_zero(fields, "n_shared_experts"),
        intermediate_size=fields.whole_number("moe_intermediate_size", at_least=1),
        dense_layers=_number_or_zero(fields, "first_k_dense_replace"),
    )
    layers = fields.whole_number("num_hidden_layers", at_least=1)
    if experts.dense_layers > layers:
        raise fields.error("first_k_dense_replace", f"at most num_hidden_layers, {layers}", experts.dense_layers)
    return experts


def _image_encoder(fields: Fields) -> ImageEncoder:
    """Kimi's configuration prefixes some of the names; the defaults are its classes'."""
    return ImageEncoder(
        layers=_first_of(fields, ("num_hidden_layers", "vt_num_hidden_layers"), 27),
        hidden_size=_first_of(fields, ("hidden_size", "vt_hidden_size"), 1152),
        intermediate_size=_first_of(fields, ("intermediate_size", "vt_intermediate_size"), 4304),
        attention_heads=_first_of(fields, ("num_attention_heads", "vt_num_attention_heads"), 16),
    )


def _first_of(fields: Fields, keys: tuple[str, ...], default: int) -> int:
    # Every name is asked for, so that each of them counts as known.
    stated = [fields.whole_number(key, at_least=1) for key in keys if fields.has(key)]
    return stated[0] if stated else default


def _number_or_zero(fields: Fields, key: str) -> int:
    return fields.whole_number(key) if fields.has(key) else 0
