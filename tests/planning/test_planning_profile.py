"""A profile file is right, or its error names the file, the key and what is allowed there."""

from __future__ import annotations

import pytest

from sgcx.errors import UserError
from sgcx.planning.profile import GqaAttention, HubCheckpoint, Sampling, parse_profile

GOOD = """
name = "mine"
title = "My model"
served_model_name = "mine"
dialect = "deepseek_r1"
input_modalities = ["text"]
max_context_length = 131_072
thinking = "always"

[source]
repository = "me/mine"
download_bytes = 15_200_000_000

[memory]
weights_bytes = 15_200_000_000
replicated_bytes = 0

[architecture]
quantization = "bf16"
minimum_compute_capability = [8, 0]
layers = 28
attention_heads = 28
maximum_tp_size = 4
attention = "gqa"
kv_heads = 4
head_dim = 128

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
    assert profile.checkpoint.attention == GqaAttention(kv_heads=4, head_dim=128)
    assert profile.checkpoint.revision is None
    assert profile.checkpoint.multimodal_memory_factor == 1.0


REPLACED = [
    ('title = "My model"', "", "`title` is missing"),
    ('title = "My model"', "title = 3", "`title` must be a text that is not empty, not 3"),
    ('"deepseek_r1"', '"llama"', """`dialect` must be one of "kimi_k2", "deepseek_r1", not 'llama'"""),
    ('["text"]', '["image"]', '`input_modalities` must be ["text"] or ["text", "image"], not a list'),
    ("131_072", '"128k"', "`max_context_length` must be a whole number, at least 1, not '128k'"),
    ("131_072", "true", "`max_context_length` must be a whole number, at least 1, not true"),
    ('"always"', '"never"', """`thinking` must be one of "always", "default_on", not 'never'"""),
    ('served_model_name = "mine"', 'served_model_name = "a:b"', "without colon and spaces, not 'a:b'"),
    ('"me/mine"', '"mine"', "`source.repository` must be written owner/model, not 'mine'"),
    ("layers = 28", "layers = -1", "`architecture.layers` must be a whole number, at least 1, not -1"),
    ("layers = 28", "layer = 28", "`architecture.layers` is missing"),
    ("layers = 28", "layers = 28\nlayer = 3", "unknown key `architecture.layer`"),
    ("[8, 0]", "8.0", "`architecture.minimum_compute_capability` must be a list of two whole numbers"),
    ("[8, 0]", "[8, true]", "`architecture.minimum_compute_capability` must be a list of two whole numbers"),
    ('"gqa"', '"mha"', '`architecture.attention` must be one of "mla", "gqa"'),
    ("top_p = 0.95", "top_p = 1.5", "`sampling.thinking.top_p` must be a number from 0.01 to 1, not 1.5"),
    ("replicated_bytes = 0", "replicated_bytes = 16_000_000_000", "must be at most weights_bytes"),
    ("[source]", "[source]\nrevision = 'main'", "`source.revision` must be a commit of 40 hexadecimal"),
    ("[source]", "[sources]", "`source` is missing"),
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
        parse_profile(GOOD.replace("[source]", "tool_call_parsers = 'x'\n[source]"), origin="mine.toml")

    assert caught.value.hint == "Did you mean `tool_call_parser`?"


def test_text_that_is_no_toml_is_an_error_with_the_place() -> None:
    with pytest.raises(UserError, match=r"mine\.toml is not valid TOML: .*line 1"):
        parse_profile("name = x\n", origin="mine.toml")


def test_a_scripted_profile_states_no_source() -> None:
    top = GOOD.partition("[source]")[0] + "scripted = true\n"
    sampling = "[sampling.thinking]\ntemperature = 1\ntop_p = 1\n"

    assert parse_profile(top + sampling, origin="mine.toml").scripted
    with pytest.raises(UserError, match="unknown key `source`"):
        parse_profile(top + "[source]\nrepository = 'a/b'\n" + sampling, origin="mine.toml")


def test_a_model_that_can_skip_thinking_states_how_it_samples_then() -> None:
    with pytest.raises(UserError, match=r"`sampling\.instant` is missing"):
        parse_profile(GOOD.replace('"always"', '"default_on"'), origin="mine.toml")
