"""The files in a Codex home: planned, written, and left as they were found."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from sgcx.codex.catalog import CatalogModel, build_catalog
from sgcx.codex.config import CodexSettings
from sgcx.codex.installation import catalog_path, plan_changes, profile_path, resolve_codex_home, write
from sgcx.codex.undo import undo
from sgcx.errors import UserError

TOKEN = "sk-sgcx-very-secret"
CATALOG = build_catalog(
    [CatalogModel(slug="kimi-k2.6", display_name="Kimi K2.6", description="d", context_window=262_144)]
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "codex-home"
    folder.mkdir()
    return folder


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "state" / "codex"


def make_settings(home: Path, *, token: str | None = TOKEN, model: str = "kimi-k2.6") -> CodexSettings:
    return CodexSettings(
        base_url="http://127.0.0.1:30000/v1", model=model, catalog_path=catalog_path(home), bearer_token=token
    )


def install(home: Path, backups: Path, **choices: str) -> None:
    write(plan_changes(home, make_settings(home, **choices), CATALOG), backups)


def contents(home: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in home.iterdir()}


def test_planning_writes_nothing(home: Path) -> None:
    assert len(plan_changes(home, make_settings(home), CATALOG).files) == 2
    assert contents(home) == {}


def test_both_files_are_private_and_the_catalog_is_json(home: Path, backups: Path) -> None:
    install(home, backups)
    assert {mode for _, mode in contents(home).values()} == {0o600}
    assert json.loads(catalog_path(home).read_bytes()) == CATALOG
    assert {stat.S_IMODE(path.stat().st_mode) for path in backups.iterdir()} == {0o600}


def test_a_missing_home_is_made(tmp_path: Path, backups: Path) -> None:
    install(tmp_path / "a" / "b", backups)
    assert profile_path(tmp_path / "a" / "b").exists()


def test_the_second_run_plans_nothing_and_touches_nothing(home: Path, backups: Path) -> None:
    install(home, backups)
    before = {path: path.stat().st_mtime_ns for folder in (home, backups) for path in folder.iterdir()}
    assert plan_changes(home, make_settings(home), CATALOG).files == ()
    install(home, backups)
    assert before == {path: path.stat().st_mtime_ns for folder in (home, backups) for path in folder.iterdir()}


def test_the_token_is_in_the_file_but_never_in_a_diff_nor_in_the_record(home: Path, backups: Path) -> None:
    first = plan_changes(home, make_settings(home), CATALOG)
    write(first, backups)
    second = plan_changes(home, make_settings(home, token="another-secret"), CATALOG)
    third = plan_changes(home, make_settings(home, token=None), CATALOG)
    for changes in (first, second, third):
        assert changes.diff
        assert TOKEN not in changes.diff
        assert "another-secret" not in changes.diff
    assert TOKEN in profile_path(home).read_text()
    assert TOKEN not in (backups / "codex-files.json").read_text()
    assert TOKEN not in repr(make_settings(home))


@pytest.mark.parametrize(
    "original",
    [
        b"",
        b"\n\n",
        b"# comments only",
        b'model = "mine"  # mine\r\n\r\n[features]\r\ngoals = true',
        b'[model_providers.sgcx]\nexperimental_bearer_token = "theirs"\n\n\n',
    ],
)
def test_undo_restores_bytes_and_mode(home: Path, backups: Path, original: bytes) -> None:
    profile_path(home).write_bytes(original)
    profile_path(home).chmod(0o640)
    before = contents(home)
    install(home, backups)
    assert contents(home) != before
    assert {file.outcome for file in undo(home, backups)} == {"restored", "removed"}
    assert contents(home) == before
    assert list(backups.iterdir()) == []


def test_undo_after_two_different_runs_restores_the_first_original(home: Path, backups: Path) -> None:
    profile_path(home).write_bytes(b'model = "mine"')
    before = contents(home)
    install(home, backups)
    install(home, backups, model="deepseek-r1", token="other")
    undo(home, backups)
    assert contents(home)[profile_path(home).name][0] == before[profile_path(home).name][0]


def test_undo_removes_what_was_not_there(home: Path, backups: Path) -> None:
    install(home, backups)
    assert [file.outcome for file in undo(home, backups)] == ["removed", "removed"]
    assert contents(home) == {}
    assert undo(home, backups) == ()


def test_undo_keeps_what_codex_added_between_and_after_the_runs(home: Path, backups: Path) -> None:
    install(home, backups)
    append(profile_path(home), "\n[tui]\nscreen_reader_detection_done = true\n")
    install(home, backups, model="deepseek-r1")
    append(profile_path(home), '\n[projects."/src"]\ntrust_level = "trusted"\n')
    outcomes = {file.path.name: file.outcome for file in undo(home, backups)}
    assert outcomes == {"sgcx.config.toml": "edited", "sgcx-models.json": "removed"}
    left = profile_path(home).read_text()
    assert left == '[tui]\nscreen_reader_detection_done = true\n\n[projects."/src"]\ntrust_level = "trusted"\n'


def test_undo_keeps_what_codex_added_before_the_last_run(home: Path, backups: Path) -> None:
    install(home, backups)
    append(profile_path(home), "\n[tui]\nx = 1\n")
    install(home, backups, model="deepseek-r1")
    undo(home, backups)
    assert profile_path(home).read_text() == "[tui]\nx = 1\n"


def test_undo_leaves_a_catalog_that_somebody_edited(home: Path, backups: Path) -> None:
    install(home, backups)
    append(catalog_path(home), "\n")
    assert [file.outcome for file in undo(home, backups)] == ["removed", "kept"]


def test_undo_leaves_other_homes_alone(home: Path, backups: Path, tmp_path: Path) -> None:
    other = tmp_path / "other-home"
    install(home, backups)
    install(other, backups)
    undo(home, backups)
    assert profile_path(other).exists()
    assert len(undo(other, backups)) == 2


def test_a_file_that_changed_since_the_plan_is_not_overwritten(home: Path, backups: Path) -> None:
    changes = plan_changes(home, make_settings(home), CATALOG)
    profile_path(home).write_text("[tui]\n")
    with pytest.raises(UserError, match="changed while"):
        write(changes, backups)
    assert profile_path(home).read_text() == "[tui]\n"


def test_a_stricter_mode_is_kept(home: Path, backups: Path) -> None:
    profile_path(home).write_text("")
    profile_path(home).chmod(0o400)
    install(home, backups)
    assert stat.S_IMODE(profile_path(home).stat().st_mode) == 0o400


def test_a_link_inside_the_home_is_followed(home: Path, backups: Path) -> None:
    (home / "dotfiles").mkdir()
    real = home / "dotfiles" / "sgcx.toml"
    real.write_text("# mine\n")
    profile_path(home).symlink_to(real)
    install(home, backups)
    assert profile_path(home).is_symlink()
    assert "model_provider" in real.read_text()
    undo(home, backups)
    assert real.read_text() == "# mine\n"


def test_a_link_to_itself_is_refused(home: Path) -> None:
    profile_path(home).symlink_to(profile_path(home).name)
    with pytest.raises(UserError, match=r"sgcx\.config\.toml"):
        plan_changes(home, make_settings(home), CATALOG)


def test_a_link_out_of_the_home_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.toml").write_text("# mine\n")
    profile_path(home).symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(UserError, match="symbolic link") as raised:
        plan_changes(home, make_settings(home), CATALOG)
    assert raised.value.hint
    assert (tmp_path / "elsewhere.toml").read_text() == "# mine\n"


@pytest.mark.parametrize("line", ['env_key = "MY_KEY"', 'auth = {command = "pass"}'])
def test_another_key_for_our_provider_in_the_users_own_config_is_refused_by_name(home: Path, line: str) -> None:
    (home / "config.toml").write_text(f'[model_providers.sgcx]\nname = "mine"\n{line}\n')
    with pytest.raises(UserError, match=rf"`model_providers.sgcx.{line.split()[0]}` in {home}/config.toml"):
        plan_changes(home, make_settings(home), CATALOG)


def test_any_other_config_of_the_user_is_codexs_business(home: Path) -> None:
    for content in (b'[model_providers.sgcx]\nname = "mine"\n[profiles.x]\n', b"model = \n", b"# \xe9\n"):
        (home / "config.toml").write_bytes(content)
        assert len(plan_changes(home, make_settings(home), CATALOG).files) == 2


def test_text_that_is_not_utf8_is_refused_with_its_line(home: Path) -> None:
    profile_path(home).write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(UserError, match="line 2"):
        plan_changes(home, make_settings(home), CATALOG)


def test_a_home_that_cannot_be_written_is_a_user_error(home: Path, backups: Path) -> None:
    # A file where a folder must be: unlike a mode, it stops root too.
    blocked = home / "not-a-folder"
    blocked.write_text("")
    with pytest.raises(UserError, match="not-a-folder"):
        install(blocked, backups)


def test_a_damaged_record_is_reported(home: Path, backups: Path) -> None:
    install(home, backups)
    (backups / "codex-files.json").write_text("{}")
    with pytest.raises(UserError, match=r"codex-files\.json is damaged"):
        undo(home, backups)


def test_the_home_is_where_codex_looks(tmp_path: Path) -> None:
    assert resolve_codex_home({"CODEX_HOME": str(tmp_path)}) == tmp_path
    assert resolve_codex_home({"HOME": str(tmp_path)}) == tmp_path / ".codex"
    assert resolve_codex_home({"HOME": str(tmp_path), "CODEX_HOME": ""}) == tmp_path / ".codex"


def append(path: Path, text: str) -> None:
    with path.open("a") as stream:
        stream.write(text)
        os.fsync(stream.fileno())
