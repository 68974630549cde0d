"""Reads a profile from its TOML text. Every error names the file, the key and what is allowed there."""

from __future__ import annotations

import tomllib
from typing import cast

from sgcx.errors import UserError
from sgcx.planning.architecture import Architecture, parse_architecture
from sgcx.planning.driver import RELEASES
from sgcx.planning.fields import Fields
from sgcx.planning.profile import (
    ComputeCapabilityGap,
    Dialect,
    Draft,
    HubCheckpoint,
    Measurement,
    Modality,
    OptionValue,
    Profile,
    Sampling,
    ScriptedCheckpoint,
    Thinking,
)
from sgcx.planning.weights import QUANTIZATIONS, Quantization, checkpoint_bytes

_OFF_THE_GPU = ("kt_", "cpu_offload_", "offload_")
"""Beginnings of SGLang's settings that leave weights in the machine's memory."""


def parse_profile(text: str, *, origin: str) -> Profile:
    """`origin` is the file name that errors show; its stem must be the profile's name."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{origin} is not valid TOML: {error}") from error
    fields = Fields.of(table, origin)
    scripted = fields.flag("scripted", default=False)
    variants = () if scripted else _variants(fields)
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
        warnings=_warnings(fields),
        checkpoint=variants[0] if variants else ScriptedCheckpoint(),
        alternatives=variants[1:],
        measurements=_measurements(fields, variants),
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


def _variants(fields: Fields) -> tuple[HubCheckpoint, ...]:
    section = fields.section("architecture")
    architecture = parse_architecture(section)
    section.finish()
    tables = fields.tables("variants")
    if not tables:
        raise fields.error("variants", "a list of one table at least", [])
    draft = _draft(fields.section("draft")) if fields.has("draft") else None
    variants: list[HubCheckpoint] = []
    for table in tables:
        variant = _variant(table, architecture, draft)
        if any(variant.variant == other.variant for other in variants):
            raise table.error("name", "a name that no other variant has", variant.variant)
        variants.append(variant)
    return tuple(variants)


def _variant(fields: Fields, architecture: Architecture, draft: Draft | None) -> HubCheckpoint:
    # One of the names that the line before allows.
    quantization = cast(Quantization, fields.choice("quantization", QUANTIZATIONS))
    stated = fields.whole_number("weights_bytes", at_least=1) if fields.has("weights_bytes") else None
    computed = checkpoint_bytes(architecture, quantization)
    variant = HubCheckpoint(
        variant=fields.text("name"),
        title=fields.text("title"),
        repository=_repository(fields),
        revision=_revision(fields),
        trust_remote_code=fields.flag("trust_remote_code", default=False),
        download_bytes=(
            fields.whole_number("download_bytes", at_least=1) if fields.has("download_bytes") else stated or computed
        ),
        quantization=quantization,
        minimum_compute_capability=fields.number_pair("minimum_compute_capability"),
        gaps=tuple(_gap(gap) for gap in fields.tables("gaps")) if fields.has("gaps") else (),
        architecture=architecture,
        stated_weights_bytes=stated,
        options=_options(fields),
        has_prediction_layers=_has_prediction_layers(fields, architecture),
        draft=draft,
        warnings=_warnings(fields),
    )
    fields.finish()
    return variant


def _has_prediction_layers(fields: Fields, architecture: Architecture) -> bool:
    stated = fields.flag("has_prediction_layers", default=False)
    if stated and not architecture.prediction_layers:
        raise fields.error("has_prediction_layers", "false without `architecture.num_nextn_predict_layers`", stated)
    return stated


def _repository(fields: Fields) -> str:
    repository = fields.text("repository")
    if repository.startswith("/"):
        return repository
    owner, slash, model = repository.partition("/")
    if not (owner and slash and model) or "/" in model:
        raise fields.error("repository", "written owner/model, or a folder's absolute path", repository)
    return repository


def _revision(fields: Fields) -> str | None:
    """Only a commit pins anything: a branch moves, and with it the code that the tokenizer runs."""
    revision = fields.text_or_none("revision")
    is_commit = revision is None or (len(revision) == 40 and set(revision) <= set("0123456789abcdef"))
    if not is_commit:
        raise fields.error("revision", "a commit of 40 hexadecimal digits", revision)
    return revision


def _gap(fields: Fields) -> ComputeCapabilityGap:
    gap = ComputeCapabilityGap(fields.number_pair("compute_capability"), fields.text("because"))
    fields.finish()
    return gap


def _options(fields: Fields) -> tuple[tuple[str, OptionValue], ...]:
    if not fields.has("options"):
        return ()
    section = fields.section("options")
    options: list[tuple[str, OptionValue]] = []
    for name, value in section.table.items():
        if not isinstance(value, (str, int, float, bool)) or value is False:
            raise section.error(name, "a text, a number or true", value)
        if name.startswith(_OFF_THE_GPU):
            raise UserError(
                f"{section.origin}: `{section.prefix}{name}` would keep weights off the GPUs, which no plan counts",
                hint="SGLang with KTransformers or offloading is started by hand; "
                "`sgcx gateway --upstream URL` makes it an endpoint for Codex",
            )
        options.append((name, value))
    return tuple(options)


def _draft(fields: Fields) -> Draft:
    draft = Draft(
        algorithm="EAGLE3" if fields.choice("algorithm", ("EAGLE", "EAGLE3")) == "EAGLE3" else "EAGLE",
        repository=_repository(fields),
        revision=_revision(fields),
        weights_bytes=fields.whole_number("weights_bytes", at_least=1),
        layers=fields.whole_number("layers", at_least=1),
        minimum_sglang=_release(fields, "minimum_sglang"),
    )
    fields.finish()
    return draft


def _release(fields: Fields, key: str) -> str | None:
    return fields.choice(key, tuple(release.version for release in RELEASES)) if fields.has(key) else None


def _measurements(fields: Fields, variants: tuple[HubCheckpoint, ...]) -> tuple[Measurement, ...]:
    if not fields.has("measurements"):
        return ()
    names = tuple(variant.variant for variant in variants)
    return tuple(_measurement(table, names) for table in fields.tables("measurements"))


def _measurement(fields: Fields, variants: tuple[str, ...]) -> Measurement:
    measurement = Measurement(
        variant=fields.choice("variant", variants),
        gpu=fields.text("gpu"),
        gpu_count=fields.whole_number("gpu_count", at_least=1),
        sglang=fields.text("sglang"),
        streams=fields.whole_number("streams", at_least=1),
        prompt_tokens=fields.whole_number("prompt_tokens", at_least=1),
        tokens_per_s=fields.number("tokens_per_s", at_least=0.0, at_most=1e9),
        time_to_first_token_s=fields.number("time_to_first_token_s", at_least=0.0, at_most=1e6),
        by=fields.text("by") if fields.has("by") else "others",
    )
    fields.finish()
    return measurement


def _warnings(fields: Fields) -> tuple[str, ...]:
    return fields.texts("warnings") if fields.has("warnings") else ()
