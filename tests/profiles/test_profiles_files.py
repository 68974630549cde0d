"""Which profile files are found, and whose wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgcx.errors import UserError
from sgcx.planning.profile import HubCheckpoint, Profile
from sgcx.profiles import built_in_directory, list_profiles, load_profile

BUILT_IN = (
    "deepseek-r1",
    "kimi-k2.6",
    "r1-0528-qwen3-8b",
    "r1-distill-llama-70b",
    "r1-distill-llama-8b",
    "r1-distill-qwen-14b",
    "r1-distill-qwen-32b",
    "r1-distill-qwen-7b",
    "rehearsal",
)


def test_every_built_in_profile_is_sound(tmp_path: Path) -> None:
    entries = list_profiles(tmp_path / "absent")

    assert tuple(entry.name for entry in entries) == BUILT_IN
    assert all(entry.origin == "built-in" for entry in entries)
    assert all(isinstance(entry.profile, Profile) for entry in entries)


def test_only_the_rehearsal_is_scripted(tmp_path: Path) -> None:
    assert [name for name in BUILT_IN if load_profile(name, tmp_path).scripted] == ["rehearsal"]


def test_an_unknown_name_lists_its_neighbours(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_profile("kimi-k2", tmp_path)
    assert caught.value.message == "No profile is called 'kimi-k2'"
    assert caught.value.hint == "Did you mean kimi-k2.6?"


def test_a_name_without_neighbours_lists_all(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_profile("zzzz", tmp_path)
    assert caught.value.hint is not None and "kimi-k2.6" in caught.value.hint


def test_a_users_file_replaces_the_built_in_profile_of_its_name(tmp_path: Path) -> None:
    text = (built_in_directory() / "kimi-k2.6.toml").read_text()
    (tmp_path / "kimi-k2.6.toml").write_text(text.replace('name = "int4"', f'name = "int4"\nrevision = "{"a" * 40}"'))

    profile = load_profile("kimi-k2.6", tmp_path)
    assert isinstance(profile.checkpoint, HubCheckpoint)
    assert profile.checkpoint.revision == "a" * 40
    entry = next(entry for entry in list_profiles(tmp_path) if entry.name == "kimi-k2.6")
    assert (entry.origin, entry.path) == ("user", tmp_path / "kimi-k2.6.toml")


def test_a_faulty_file_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = 'broken'\n")

    entries = {entry.name: entry.profile for entry in list_profiles(tmp_path)}
    assert isinstance(entries["broken"], UserError)
    assert str(tmp_path / "broken.toml") in entries["broken"].message
    assert isinstance(entries["rehearsal"], Profile)


def test_a_profile_has_the_name_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text((built_in_directory() / "rehearsal.toml").read_text())

    with pytest.raises(UserError, match="`name` must be 'mine', not 'rehearsal'"):
        load_profile("mine", tmp_path)
