"""The real Codex does real work on the real SGLang: five workflows, checked on disk and in Codex's own events."""

from __future__ import annotations

import pytest
from codex_sessions import CodexRunner, run_without_profile_files
from installed import CODEX_VERSION, OLDER_CODEX_VERSION

pytestmark = [pytest.mark.engine, pytest.mark.codex]


@pytest.fixture
def codex(rehearsal, codex_binary, tmp_path, tmp_path_factory):
    runner = CodexRunner(rehearsal, tmp_path)
    if CODEX_VERSION == OLDER_CODEX_VERSION:
        runner = run_without_profile_files(rehearsal, tmp_path_factory.mktemp("codex"), tmp_path, codex_binary)

    def run(prompt):
        session = runner.completed(prompt)
        check_common(session)
        return session

    return run


def check_common(session):
    assert all(usage.reasoning_tokens > 0 for usage in session.usages)
    reported = session.events[-1]["usage"]
    assert reported["input_tokens"] == sum(usage.input_tokens for usage in session.usages)
    assert reported["cached_input_tokens"] == sum(usage.cached_tokens for usage in session.usages)
    assert reported["reasoning_output_tokens"] == sum(usage.reasoning_tokens for usage in session.usages)
    for previous, usage in zip(session.usages, session.usages[1:], strict=False):
        assert usage.cached_tokens >= 0.95 * previous.input_tokens


def test_a_question_is_answered_without_tools(codex):
    session = codex("Hello, who are you?")
    assert "scripted" in session.answer
    assert len(session.usages) == 1
    assert not session.commands


def test_a_file_is_read_and_reported(codex, tmp_path):
    (tmp_path / "notes.txt").write_text("the launch code is 4711\n")
    session = codex("Read notes.txt and tell me what it says")
    assert "4711" in session.answer
    assert any(code == 0 and "notes.txt" in command for code, command in session.commands)
    assert len(session.usages) == 2


def test_a_file_is_edited_with_a_freeform_patch(codex, tmp_path):
    target = tmp_path / "config.ini"
    target.write_text("[server]\nport = 8080\nhost = localhost\n")
    session = codex("Replace 8080 with 9090 in config.ini")
    assert target.read_text() == "[server]\nport = 9090\nhost = localhost\n"
    [change] = session.items("file_change")
    assert [(entry["kind"], entry["path"]) for entry in change["changes"]] == [("update", str(target))]
    assert change["status"] == "completed"


def test_parallel_calls_run_side_by_side_and_come_back_in_order(codex):
    session = codex("Run these: `echo one` and `echo two`")
    outputs = [item["aggregated_output"].strip() for item in session.items("command_execution")]
    assert sorted(outputs) == ["one", "two"]
    assert len(session.usages) == 2


def test_several_steps_with_parallel_calls_a_failing_command_and_recovery(codex, tmp_path):
    session = codex("Check the build: cat settings.cfg")
    codes = [code for code, _ in session.commands]
    assert codes[0] != 0
    assert codes[-1] == 0
    assert (tmp_path / "settings.cfg").exists()
    assert session.items("todo_list")
    assert len(session.usages) == 5


def test_a_project_is_made_tested_and_mended(codex, tmp_path):
    session = codex("Create a small Python package called shapes")
    assert {path.name for path in (tmp_path / "shapes").glob("*.py")} == {"__init__.py", "averages.py"}
    changes = session.items("file_change")
    assert len(changes) == 2
    codes = [code for code, _ in session.commands]
    assert codes[0] != 0
    assert codes[-1] == 0
    assert session.items("todo_list")
    assert len(session.usages) >= 5
