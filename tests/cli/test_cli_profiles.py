"""`sgcx profiles`: the list, one profile, and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

from cli_runner import Said, Sgcx
from inline_snapshot import snapshot

from sgcx.profiles import built_in_directory


def test_the_list_shows_what_can_be_served(sgcx: Sgcx) -> None:
    said = sgcx("profiles", COLUMNS="120")
    assert (said.exit_code, said.stderr) == (0, "")
    lines = said.stdout.splitlines()
    assert lines[0].split() == ["Name", "Title", "Origin", "Variants", "Weights", "Context"]
    assert [line.split()[0] for line in lines[1:]] == sorted(path.stem for path in built_in_directory().glob("*.toml"))
    assert sgcx("profiles", "list", COLUMNS="120") == said


def test_a_broken_file_is_shown_and_hides_nothing(sgcx: Sgcx, home: Path) -> None:
    _user_profile(home, "mine", "name = 'mine'\n")
    said = sgcx("profiles")
    assert said.exit_code == 0
    assert "kimi-k2.6" in said.stdout
    assert said.stderr == snapshot("""\
error: [HOME]/sgcx/config/profiles/mine.toml: `architecture` is missing

hint: It must be a table
""")


def test_show_gives_the_facts_and_the_file(sgcx: Sgcx) -> None:
    assert sgcx("profiles", "show", "rehearsal") == snapshot(
        Said(
            exit_code=0,
            stdout="""\
Name      rehearsal
Title     Rehearsal (scripted)
Model     rehearsal
Dialect   kimi_k2
Input     text
Context   131072 tokens
Thinking  unless a request asks for none
File      [PROFILES]/rehearsal.toml (built-in)
""",
            stderr="",
        )
    )
    assert sgcx("profiles", "show", "kimi-k2.6") == snapshot(
        Said(
            exit_code=0,
            stdout="""\
Name      kimi-k2.6
Title     Kimi K2.6
Model     kimi-k2.6
Dialect   kimi_k2
Input     text, image
Context   262144 tokens
Thinking  unless a request asks for none
File      [PROFILES]/kimi-k2.6.toml (built-in)

Variant        int4: INT4, as published
Repository     moonshotai/Kimi-K2.6, the default branch
Runs its code  yes
Download       554.2 GiB
Weights        554.2 GiB, int4
GPUs           compute capability 8.0 or later
Draft          lightseekorg/kimi-k2.6-eagle3.1-mla

Variant        nvfp4: NVFP4 by NVIDIA
Repository     nvidia/Kimi-K2.6-NVFP4, the default branch
Runs its code  yes
Download       550.2 GiB
Weights        550.2 GiB, nvfp4
GPUs           compute capability 10.0 or later
Draft          lightseekorg/kimi-k2.6-eagle3.1-mla
""",
            stderr="",
        )
    )


def test_show_names_neighbours_of_an_unknown_name(sgcx: Sgcx) -> None:
    assert sgcx("profiles", "show", "deepseek") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: No profile is called 'deepseek'

hint: Did you mean deepseek-r1?
""",
        )
    )


def test_show_for_a_program(sgcx: Sgcx) -> None:
    match sgcx("profiles", "show", "kimi-k2.6", "--json").json:
        case {"name": "kimi-k2.6", "origin": "built-in", "error": None, "profile": {"dialect": "kimi_k2"}}:
            pass
        case other:
            raise AssertionError(other)


def test_all_built_in_profiles_are_sound(sgcx: Sgcx) -> None:
    said = sgcx("profiles", "validate")
    assert said.exit_code == 0
    assert all(line.endswith(".toml: sound") for line in said.stdout.splitlines())


def test_validate_names_file_and_key(sgcx: Sgcx, home: Path) -> None:
    text = (built_in_directory() / "rehearsal.toml").read_text()
    (home / "mine.toml").write_text(text.replace('"rehearsal"', '"mine"', 1).replace("thinking =", "thinkin =", 1))
    assert sgcx("profiles", "validate", "mine.toml") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: mine.toml: `thinking` is missing

hint: It must be one of "always", "default_on"
""",
        )
    )


def test_validate_says_what_a_value_must_be(sgcx: Sgcx, home: Path) -> None:
    text = (built_in_directory() / "rehearsal.toml").read_text()
    (home / "mine.toml").write_text(text.replace('"rehearsal"', '"mine"', 1).replace('"kimi_k2"', '"kimi"', 1))
    assert sgcx("profiles", "validate", "mine.toml") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr='error: mine.toml: `dialect` must be one of "kimi_k2", "deepseek_r1", not \'kimi\'\n',
        )
    )


def test_validate_of_one_broken_profile_among_all(sgcx: Sgcx, home: Path) -> None:
    _user_profile(home, "mine", "name = \n")
    said = sgcx("profiles", "validate", "--json")
    assert said.exit_code == 2
    assert isinstance(said.json, list)
    assert [entry["name"] for entry in said.json if entry["error"]] == ["mine"]


def test_validate_of_a_name_and_of_nothing(sgcx: Sgcx) -> None:
    assert sgcx("profiles", "validate", "rehearsal") == snapshot(
        Said(exit_code=0, stdout="[PROFILES]/rehearsal.toml: sound\n", stderr="")
    )
    assert sgcx("profiles", "validate", "absent.toml") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="error: absent.toml cannot be read: [Errno 2] No such file or directory: 'absent.toml'\n",
        )
    )


def _user_profile(home: Path, name: str, text: str) -> None:
    directory = home / "sgcx" / "config" / "profiles"
    directory.mkdir(parents=True)
    (directory / f"{name}.toml").write_text(text)
