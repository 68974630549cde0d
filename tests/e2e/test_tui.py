"""Codex's terminal interface under tmux: no login, no warning, the answer on screen, a title for the thread."""

from __future__ import annotations

import json
import shutil
import sys
import time

import pytest
from terminal import Terminal

pytestmark = [pytest.mark.engine, pytest.mark.codex]


@pytest.fixture
def terminal(rehearsal, tmp_path):
    assert shutil.which("tmux"), "tmux is missing"
    directory = tmp_path / "project"
    directory.mkdir()
    command = [sys.executable, "-m", "sgcx", "codex"]
    environment = {**rehearsal.machine.environment, "TERM": "xterm-256color"}
    opened = Terminal(f"sgcx-{tmp_path.name}", directory, environment, command)
    yield opened
    opened.close()


def test_a_first_turn_in_the_tui(terminal, rehearsal):
    offset = rehearsal.log.stat().st_size
    first = terminal.wait_for("Rehearsal", answers={"Trust this folder": "Enter"})
    assert "Sign in" not in first
    assert "metadata" not in first
    type_line(terminal, "hello")
    answered = terminal.wait_for("Ask me to read")
    assert "metadata" not in answered
    wait_until(lambda: len(rehearsal.usages_since(offset)) >= 2)
    usages = rehearsal.usages_since(offset)
    assert all(usage.status == "completed" for usage in usages)
    # The title is asked for beside the turn, and needs no thinking.
    assert sorted(usage.reasoning_tokens > 0 for usage in usages) == [False, True]


def test_plan_mode_asks_the_user_and_the_answer_reaches_the_model(terminal, rehearsal):
    terminal.wait_for("Rehearsal", answers={"Trust this folder": "Enter"})
    terminal.send("BTab")
    terminal.wait_for("Plan mode")
    options = [{"label": "Red", "description": "like a rose"}, {"label": "Blue", "description": "like the sea"}]
    question = {"id": "colour", "header": "Colour", "question": "Which colour?", "options": options}
    type_line(terminal, f"call request_user_input with {json.dumps({'questions': [question]})}")
    terminal.wait_for("enter to submit answer")
    terminal.send("Down")
    terminal.wait_for("› 2. Blue")
    terminal.send("Enter")
    terminal.wait_for("returned:")
    assert '"Blue"' in terminal.screen()


def type_line(terminal, text):
    terminal.send("-l", text)
    terminal.wait_for(text[-20:])  # Codex takes keys that come too fast for a paste
    terminal.send("Enter")


def wait_until(condition, deadline_s=60):
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
