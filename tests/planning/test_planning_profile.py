"""A profile file is right, or its error names the file, the key and what is allowed there."""

from __future__ import annotations

import pytest

from sgcx.errors import UserError
from sgcx.planning.architecture import GqaAttention
from sgcx.planning.profile import HubCheckpoint, Sampling
from sgcx.planning.profile_file import parse_profile

GOOD = """
name = "mine"
title = "My model"
served_model_name = "mine"
dialect = "deepseek_r1"
input_modalities = ["text"]
max_context_length = 131_072
thinking = "always"

[architecture]
num_hidden_layers = 28
hidden_size = 3584
intermediate_size = 18944
vocab_size = 152064
num_attention_heads = 28
num_key_value_heads = 4

[[variants]]
name = "bf16"
title = "bf16"
repository = "me/mine"
quantization = "bf16"
minimum_compute_capability = [8, 0]

[sampling.thinking]
temperature = 0.6
top_p = 0.95
"""


def test_a_complete_profile_is_read() -> None:
    profile = parse_profile(GOOD, origin="mine.toml")

    assert profile.name == "mine"
    assert profile.sampling_thinking == Sampling(temperature=0.6, top_p=0.95)
    assert profile.sampling_instant is None
    assert profile.tool_call_parser is None
    assert not profile.scripted
    assert isinstance(profile.checkpoint, HubCheckpoint)
    assert profile.checkpoint.architecture.attention == GqaAttention(kv_heads=4, head_dim=128)
    assert profile.checkpoint.revision is None
    assert profile.checkpoint.weights_bytes == pytest.approx(15.2e9, rel=0.01), "counted from the shapes"


REPLACED = [
    ('title = "My model"', "", "`title` is missing"),
    ('title = "My model"', "title = 3", "`title` must be a text that is not empty, not 3"),
    ('"deepseek_r1"', '"llama"', """`dialect` must be one of "kimi_k2", "deepseek_r1", not 'llama'"""),
    ('["text"]', '["image"]', '`input_modalities` must be ["text"] or ["text", "image"], not a list'),
    ("131_072", '"128k"', "`max_context_length` must be a whole number, at least 1, not '128k'"),
    ("131_072", "true", "`max_context_length` must be a whole number, at least 1, not true"),
    ('"always"', '"never"', """`thinking` must be one of "always", "default_on", not 'never'"""),
    ('served_model_name = "mine"', 'served_model_name = "a:b"', "without colon and spaces, not 'a:b'"),
    ('"me/mine"', '"mine"', "`variants[0].repository` must be written owner/model, or a folder's absolute path"),
    (
        "hidden_layers = 28",
        "hidden_layers = -1",
        "`architecture.num_hidden_layers` must be a whole number, at least 1, not -1",
    ),
    ("hidden_layers = 28", "layers = 28", "`architecture.num_hidden_layers` is missing"),
    ("hidden_layers = 28", "hidden_layers = 28\nlayer = 3", "unknown key `architecture.layer`"),
    ("[8, 0]", "8.0", "`variants[0].minimum_compute_capability` must be a list of two whole numbers"),
    ("[8, 0]", "[8, true]", "`variants[0].minimum_compute_capability` must be a list of two whole numbers"),
    ('"bf16"\nminimum', '"gguf"\nminimum', '`variants[0].quantization` must be one of "bf16", "fp8"'),
    ("num_key_value_heads", "kv_lora_rank", "`architecture.q_lora_rank` is missing"),
    ("[sampling", "[[variants.gaps]]\nbecause = 'x'\n[sampling", "`variants[0].gaps[0].compute_capability` is missing"),
    ("[sampling", "[variants.options]\nx = []\n[sampling", "`variants[0].options.x` must be a text, a number or true"),
    ("[[variants]]", "[draft]\nalgorithm = 'MEDUSA'\n[[variants]]", "`draft.algorithm` must be one of"),
    ("top_p = 0.95", "top_p = 1.5", "`sampling.thinking.top_p` must be a number from 0.01 to 1, not 1.5"),
    ('name = "bf16"', "name = 'x'\nhas_prediction_layers = true", "must be false without `architecture.num_nextn"),
    ('name = "bf16"', "name = 'x'\nrevision = 'main'", "`variants[0].revision` must be a commit of 40 hexadecimal"),
    ("[[variants]]", "[[variant]]", "`variants` is missing"),
]


@pytest.mark.parametrize(("old", "new", "message"), REPLACED, ids=[case[2] for case in REPLACED])
def test_a_faulty_profile_names_file_and_key(old: str, new: str, message: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(UserError) as caught:
        parse_profile(GOOD.replace(old, new, 1), origin="/config/mine.toml")

    assert caught.value.message.startswith("/config/mine.toml: ")
    assert message in caught.value.message


def test_a_misspelt_key_gets_a_suggestion() -> None:
    with pytest.raises(UserError) as caught:
        parse_profile(GOOD.replace("[architecture]", "tool_call_parsers = 'x'\n[architecture]"), origin="mine.toml")

    assert caught.value.hint == "Did you mean `tool_call_parser`?"


def test_text_that_is_no_toml_is_an_error_with_the_place() -> None:
    with pytest.raises(UserError, match=r"mine\.toml is not valid TOML: .*line 1"):
        parse_profile("name = x\n", origin="mine.toml")


def test_a_scripted_profile_states_no_architecture() -> None:
    top = GOOD.partition("[architecture]")[0] + "scripted = true\n"
    sampling = "[sampling.thinking]\ntemperature = 1\ntop_p = 1\n"

    assert parse_profile(top + sampling, origin="mine.toml").scripted
    with pytest.raises(UserError, match="unknown key `architecture`"):
        parse_profile(top + "[architecture]\nnum_hidden_layers = 1\n" + sampling, origin="mine.toml")


def test_a_model_that_can_skip_thinking_states_how_it_samples_then() -> None:
    with pytest.raises(UserError, match=r"`sampling\.instant` is missing"):
        parse_profile(GOOD.replace('"always"', '"default_on"'), origin="mine.toml")


def test_variants_keep_their_order_and_their_names_apart() -> None:
    start, end = GOOD.index("[[variants]]"), GOOD.index("[sampling")
    second = GOOD[start:end].replace('"bf16"', '"fp8"').replace("me/mine", "me/mine-FP8")
    profile = parse_profile(GOOD[:end] + second + GOOD[end:], origin="mine.toml")

    assert [variant.variant for variant in profile.variants] == ["bf16", "fp8"]
    chosen = profile.with_variant(profile.variants[1])
    assert [variant.variant for variant in chosen.variants] == ["fp8", "bf16"]
    with pytest.raises(UserError, match=r"`variants\[1\]\.name` must be a name that no other variant has"):
        parse_profile(GOOD[:end] + GOOD[start:end] + GOOD[end:], origin="mine.toml")
