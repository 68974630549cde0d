"""The text of Codex's config file: what goes in, what survives, what comes out."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from sgcx.codex.config import CodexSettings, apply_settings, build_assignments, remove_settings
from sgcx.errors import UserError

SETTINGS = CodexSettings(
    base_url="http://127.0.0.1:30000/v1",
    model="kimi-k2.6",
    catalog_path=Path("/home/someone/.codex/sgcx-models.json"),
    bearer_token="sk-sgcx-1234",
)
WRITTEN = build_assignments(SETTINGS)


def test_a_new_file_lists_every_key() -> None:
    assert apply_settings("", SETTINGS) == snapshot("""\
# Made by `sgcx codex-config` for `codex -p sgcx`. `sgcx codex-config --undo` takes it back.
# You and Codex may add settings here: sgcx changes only its own keys.
model = "kimi-k2.6"
model_provider = "sgcx"
model_catalog_json = "/home/someone/.codex/sgcx-models.json"
show_raw_agent_reasoning = true
web_search = "disabled"
check_for_update_on_startup = false
allow_login_shell = false

[model_providers.sgcx]
name = "SGLang (sgcx)"
base_url = "http://127.0.0.1:30000/v1"
wire_api = "responses"
experimental_bearer_token = "sk-sgcx-1234"
request_max_retries = 4
stream_max_retries = 5
stream_idle_timeout_ms = 600000
supports_websockets = false
requires_openai_auth = false

[features]
goals = false
plugins = false
daemon_auto_start = false
unbounded_connection_retries = false

[analytics]
enabled = false

[skills.bundled]
enabled = false

[tools.update_plan]
enabled = true

[mcp_servers.codex_tui]
command = "disabled"
enabled = false
""")


def test_a_users_file_keeps_its_comments_and_its_own_keys() -> None:
    before = """\
# my own settings
model = 'gpt-6.1-sol'  # the big one

[features]
goals = true  # I like goals
voice = true

[mcp_servers.docs]
command = "docs-server"
"""
    assert apply_settings(before, SETTINGS) == snapshot("""\
model_provider = "sgcx"
model_catalog_json = "/home/someone/.codex/sgcx-models.json"
show_raw_agent_reasoning = true
web_search = "disabled"
check_for_update_on_startup = false
allow_login_shell = false

# my own settings
model = "kimi-k2.6"  # the big one

[features]
goals = false  # I like goals
voice = true
plugins = false
daemon_auto_start = false
unbounded_connection_retries = false

[mcp_servers.docs]
command = "docs-server"

[model_providers.sgcx]
name = "SGLang (sgcx)"
base_url = "http://127.0.0.1:30000/v1"
wire_api = "responses"
experimental_bearer_token = "sk-sgcx-1234"
request_max_retries = 4
stream_max_retries = 5
stream_idle_timeout_ms = 600000
supports_websockets = false
requires_openai_auth = false

[analytics]
enabled = false

[skills.bundled]
enabled = false

[tools.update_plan]
enabled = true

[mcp_servers.codex_tui]
command = "disabled"
enabled = false
""")


def test_a_server_without_a_key_gets_no_token() -> None:
    open_server = CodexSettings(base_url="http://x/v1", model="m", catalog_path=Path("/c.json"))
    with_token = apply_settings("", SETTINGS)
    assert "experimental_bearer_token" not in apply_settings("", open_server)
    assert "experimental_bearer_token" not in apply_settings(with_token, open_server)


def test_what_codex_appends_survives_the_next_run_and_the_undo() -> None:
    codex_wrote = '\n[tui]\nscreen_reader_detection_done = true\n\n[projects."/src/a"]\ntrust_level = "trusted"\n'
    grown = apply_settings("", SETTINGS) + codex_wrote
    assert apply_settings(grown, SETTINGS) == grown
    assert remove_settings(grown, baseline=None, written=WRITTEN) == codex_wrote.lstrip("\n")


def test_undo_in_a_changed_file_brings_back_the_users_old_values() -> None:
    before = 'model = "mine"\n\n[features]\ngoals = true\n'
    grown = apply_settings(before, SETTINGS) + "\n[tui]\nx = 1\n"
    after = remove_settings(grown, baseline=before, written=WRITTEN)
    assert tomllib.loads(after) == tomllib.loads(before) | {"tui": {"x": 1}}


def test_undo_brings_back_a_token_that_was_taken_out() -> None:
    before = '[model_providers.sgcx]\nname = "mine"\nexperimental_bearer_token = "theirs"\n'
    open_server = CodexSettings(base_url="http://x/v1", model="m", catalog_path=Path("/c.json"))
    changed = apply_settings(before, open_server) + "\n[tui]\nx = 1\n"
    after = remove_settings(changed, baseline=before, written=build_assignments(open_server))
    assert tomllib.loads(after) == tomllib.loads(before) | {"tui": {"x": 1}}


def test_undo_keeps_a_key_that_the_user_changed_after_us() -> None:
    changed = apply_settings("", SETTINGS).replace('web_search = "disabled"', 'web_search = "live"')
    assert remove_settings(changed, baseline=None, written=WRITTEN) == 'web_search = "live"\n'


def test_undo_takes_out_a_model_that_was_chosen_from_our_catalog() -> None:
    chosen = apply_settings("", SETTINGS).replace('model = "kimi-k2.6"', 'model = "deepseek-r1"')
    assert remove_settings(chosen, baseline=None, written=WRITTEN) == ""


def test_a_byte_order_mark_stays_where_it_is() -> None:
    text = "\ufeff# mine\n[features]\ngoals = true\n"
    edited = apply_settings(text, SETTINGS)
    assert edited.startswith("\ufeffmodel = ") and "\ufeff" not in edited[1:]
    assert apply_settings(edited, SETTINGS) == edited
    undone = remove_settings(edited, baseline=text, written=WRITTEN)
    assert undone.startswith("\ufeff")
    assert tomllib.loads(undone[1:]) == tomllib.loads(text[1:])


def test_a_variable_for_the_key_goes_and_comes_back() -> None:
    text = '[model_providers.sgcx]\nname = "mine"\nenv_key = "MY_KEY"\n'
    edited = apply_settings(text, SETTINGS)
    assert "env_key" not in edited
    assert tomllib.loads(remove_settings(edited, baseline=text, written=WRITTEN)) == tomllib.loads(text)


def test_windows_line_ends_stay_windows_line_ends() -> None:
    edited = apply_settings('[features]\r\ngoals = true # c\r\nvoice = """a\r\nb"""\r\n', SETTINGS)
    assert "\n" not in edited.replace("\r\n", "")
    assert "goals = false # c\r\n" in edited


@pytest.mark.parametrize(
    "text",
    [
        "features = {voice = true}\n",
        "features.voice = true\n",
        'model_providers = {other = {name = "o"}}\n[tui]\nx = 1\n',
        'model_providers.other.name = "o"\n',
        '[model_providers.sgcx]\nname = "mine"\n[tui]\nx = 1\n[model_providers.other]\nname = "o"\n',
        '[[skills.config]]\npath = "a"\n',
        "[tools]\nupdate_plan = {enabled = false, extra = 1}",
        "# only a comment",
    ],
)
def test_every_layout_of_the_users_tables_is_edited_and_undone(text: str) -> None:
    edited = apply_settings(text, SETTINGS)
    parsed = tomllib.loads(edited)
    assert parsed["features"]["goals"] is False
    assert parsed["model_providers"]["sgcx"]["base_url"] == SETTINGS.base_url
    assert parsed["tools"]["update_plan"]["enabled"] is True
    undone = remove_settings(edited, baseline=text, written=WRITTEN)
    assert tomllib.loads(undone) == tomllib.loads(text)


def test_a_syntax_error_names_the_file_and_the_line() -> None:
    with pytest.raises(UserError, match=r"/home/x/sgcx.config.toml is not valid TOML: .*line 2"):
        apply_settings("a = 1\nb = = 2\n", SETTINGS, name="/home/x/sgcx.config.toml")


def test_a_value_where_codex_wants_a_table_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"`features` in config\.toml is a value"):
        apply_settings("features = 3\n", SETTINGS)


_KEYS = st.sampled_from(["model", "features", "tools", "model_providers", "sgcx", "goals", "name", "tui", '"a b"'])
_VALUES = st.sampled_from(
    ['"x"', "'y'", "1", "1_000", "true", "nan", "[1, 2]", '{ name = "n" }', "1979-05-27", '"""a\nb"""']
)
_PATHS = st.lists(_KEYS, min_size=1, max_size=3).map(".".join)
_LINES = st.one_of(
    st.builds("{} = {}".format, _PATHS, _VALUES),
    st.builds("{} = {}  # why".format, _PATHS, _VALUES),
    st.builds("[{}]".format, _PATHS),
    st.builds("[[{}]]".format, _PATHS),
    st.sampled_from(["", "# a comment", "  # indented"]),
)


@st.composite
def toml_texts(draw: st.DrawFn) -> str:
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    kept: list[str] = []
    for line in draw(st.lists(_LINES, max_size=14)):
        try:
            tomllib.loads("\n".join([*kept, line]))
        except tomllib.TOMLDecodeError:
            continue
        kept.append(line)
    text = "\n".join(kept) + draw(st.sampled_from(["", "\n", "\n\n"]))
    return text.replace("\n", newline)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(toml_texts())
def test_a_second_run_changes_nothing_and_undo_restores_the_settings(text: str) -> None:
    try:
        once = apply_settings(text, SETTINGS)
    except UserError:
        assume(False)
    assert apply_settings(once, SETTINGS) == once
    undone = remove_settings(once, baseline=text, written=WRITTEN)
    # Not `==` on the values: nan is not equal to itself, and 1 is equal to true.
    assert _canonical(undone) == _canonical(text)


def _canonical(text: str) -> str:
    return json.dumps(tomllib.loads(text), sort_keys=True, default=repr)
