"""A profile: one model, and the facts about it that planning and serving need. The schema is docs/profiles.md."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Literal

from sgcx.errors import UserError
from sgcx.planning.fields import Fields

Dialect = Literal["kimi_k2", "deepseek_r1"]
Modality = Literal["text", "image"]
Thinking = Literal["always", "default_on"]
Quantization = Literal["bf16", "fp8", "int4"]
KvCacheDtype = Literal["auto", "fp8_e4m3"]


@dataclass(frozen=True, slots=True)
class MlaAttention:
    """Latent attention: every GPU holds the whole cache, however many share the weights."""

    kv_lora_rank: int
    qk_rope_head_dim: int


@dataclass(frozen=True, slots=True)
class GqaAttention:
    """Grouped-query attention: the key-value heads are divided among the GPUs."""

    kv_heads: int
    head_dim: int


@dataclass(frozen=True, slots=True)
class HubCheckpoint:
    """Weights from a model hub, too large to guess about: the numbers decide whether they fit."""

    repository: str
    revision: str | None
    trust_remote_code: bool
    download_bytes: int
    weights_bytes: int
    """What is loaded on all GPUs together, replicated parts counted once."""
    replicated_bytes: int
    """The part of `weights_bytes` that each GPU holds in full."""
    quantization: Quantization
    minimum_compute_capability: tuple[int, int]
    layers: int
    attention_heads: int
    maximum_tp_size: int
    attention: MlaAttention | GqaAttention
    multimodal_memory_factor: float
    """What the image encoder's working memory leaves of a GPU, 1.0 without one."""


@dataclass(frozen=True, slots=True)
class ScriptedCheckpoint:
    """A tiny checkpoint made on this machine, whose answers are scripted. Its path is given at launch."""


@dataclass(frozen=True, slots=True)
class Sampling:
    temperature: float
    top_p: float


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    title: str
    served_model_name: str
    dialect: Dialect
    input_modalities: tuple[Modality, ...]
    max_context_length: int
    thinking: Thinking
    sampling_thinking: Sampling
    sampling_instant: Sampling | None
    """None for a model that always thinks."""
    reasoning_parser: str | None
    tool_call_parser: str | None
    warnings: tuple[str, ...]
    checkpoint: HubCheckpoint | ScriptedCheckpoint

    @property
    def scripted(self) -> bool:
        return isinstance(self.checkpoint, ScriptedCheckpoint)


def parse_profile(text: str, *, origin: str) -> Profile:
    """`origin` is the file name that errors show; its stem must be the profile's name."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{origin} is not valid TOML: {error}") from error
    fields = Fields.of(table, origin)
    scripted = fields.flag("scripted", default=False)
    thinking = _thinking(fields)
    sampling_thinking, sampling_instant = _parse_sampling(fields, thinking)
    profile = Profile(
        name=fields.text("name"),
        title=fields.text("title"),
        served_model_name=_served_model_name(fields),
        dialect=_dialect(fields),
        input_modalities=_input_modalities(fields),
        max_context_length=fields.whole_number("max_context_length", at_least=1),
        thinking=thinking,
        sampling_thinking=sampling_thinking,
        sampling_instant=sampling_instant,
        reasoning_parser=fields.text_or_none("reasoning_parser"),
        tool_call_parser=fields.text_or_none("tool_call_parser"),
        warnings=fields.texts("warnings") if fields.has("warnings") else (),
        checkpoint=ScriptedCheckpoint() if scripted else _parse_checkpoint(fields),
    )
    fields.finish()
    return profile


def _served_model_name(fields: Fields) -> str:
    name = fields.text("served_model_name")
    if ":" in name or any(character.isspace() for character in name):
        # SGLang reads what follows a colon as the name of a LoRA adapter.
        raise fields.error("served_model_name", "a name without colon and spaces", name)
    return name


def _dialect(fields: Fields) -> Dialect:
    return "kimi_k2" if fields.choice("dialect", ("kimi_k2", "deepseek_r1")) == "kimi_k2" else "deepseek_r1"


def _thinking(fields: Fields) -> Thinking:
    return "always" if fields.choice("thinking", ("always", "default_on")) == "always" else "default_on"


def _input_modalities(fields: Fields) -> tuple[Modality, ...]:
    modalities = fields.texts("input_modalities")
    if modalities == ("text",):
        return ("text",)
    if modalities == ("text", "image"):
        return ("text", "image")
    raise fields.error("input_modalities", '["text"] or ["text", "image"]', list(modalities))


def _parse_sampling(fields: Fields, thinking: Thinking) -> tuple[Sampling, Sampling | None]:
    sampling = fields.section("sampling")
    while_thinking = _sampling(sampling.section("thinking"))
    instant = _sampling(sampling.section("instant")) if thinking == "default_on" else None
    sampling.finish()
    return while_thinking, instant


def _sampling(fields: Fields) -> Sampling:
    sampling = Sampling(
        temperature=fields.number("temperature", at_least=0.0, at_most=2.0),
        top_p=fields.number("top_p", at_least=0.01, at_most=1.0),
    )
    fields.finish()
    return sampling


def _parse_checkpoint(fields: Fields) -> HubCheckpoint:
    source = fields.section("source")
    memory = fields.section("memory")
    architecture = fields.section("architecture")
    checkpoint = HubCheckpoint(
        repository=_repository(source),
        revision=_revision(source),
        trust_remote_code=source.flag("trust_remote_code", default=False),
        download_bytes=source.whole_number("download_bytes", at_least=1),
        weights_bytes=memory.whole_number("weights_bytes", at_least=1),
        replicated_bytes=memory.whole_number("replicated_bytes"),
        multimodal_memory_factor=_multimodal_memory_factor(memory),
        quantization=_quantization(architecture),
        minimum_compute_capability=architecture.number_pair("minimum_compute_capability"),
        layers=architecture.whole_number("layers", at_least=1),
        attention_heads=architecture.whole_number("attention_heads", at_least=1),
        maximum_tp_size=architecture.whole_number("maximum_tp_size", at_least=1),
        attention=_attention(architecture),
    )
    if checkpoint.replicated_bytes > checkpoint.weights_bytes:
        raise memory.error("replicated_bytes", "at most weights_bytes", checkpoint.replicated_bytes)
    for section in (source, memory, architecture):
        section.finish()
    return checkpoint


def _repository(source: Fields) -> str:
    repository = source.text("repository")
    owner, slash, model = repository.partition("/")
    if not (owner and slash and model) or "/" in model:
        raise source.error("repository", "written owner/model", repository)
    return repository


def _revision(source: Fields) -> str | None:
    """Only a commit pins anything: a branch moves, and with it the code that the tokenizer runs."""
    revision = source.text_or_none("revision")
    is_commit = revision is None or (len(revision) == 40 and set(revision) <= set("0123456789abcdef"))
    if not is_commit:
        raise source.error("revision", "a commit of 40 hexadecimal digits", revision)
    return revision


def _multimodal_memory_factor(memory: Fields) -> float:
    key = "multimodal_memory_factor"
    return memory.number(key, at_least=0.5, at_most=1.0) if memory.has(key) else 1.0


def _quantization(architecture: Fields) -> Quantization:
    match architecture.choice("quantization", ("bf16", "fp8", "int4")):
        case "fp8":
            return "fp8"
        case "int4":
            return "int4"
        case _:
            return "bf16"


def _attention(architecture: Fields) -> MlaAttention | GqaAttention:
    if architecture.choice("attention", ("mla", "gqa")) == "mla":
        return MlaAttention(
            kv_lora_rank=architecture.whole_number("kv_lora_rank", at_least=1),
            qk_rope_head_dim=architecture.whole_number("qk_rope_head_dim", at_least=1),
        )
    return GqaAttention(
        kv_heads=architecture.whole_number("kv_heads", at_least=1),
        head_dim=architecture.whole_number("head_dim", at_least=1),
    )
