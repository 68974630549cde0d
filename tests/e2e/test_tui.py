"""Codex's terminal interface under tmux: no login, no warning, the answer on screen, a title for the thread."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.codex]


class Terminal:
    """A tmux server of its own, so that nothing of the user's is touched."""

    def __init__(self, socket, directory, environment, command):
        self._tmux = ["tmux", "-L", socket]
        self._environment = environment
        self._run("new-session", "-d", "-x", "120", "-y", "40", "-c", str(directory), *command)
        self._run("set-option", "-w", "remain-on-exit", "on")  # what an early exit said stays readable

    def _run(self, *arguments):
        command = [*self._tmux, *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout

    def screen(self):
        return self._run("capture-pane", "-p", "-S", "-")

    def send(self, *keys):
        self._run("send-keys", *keys)

    def wait_for(self, wanted, *, answers=None, deadline_s=90):
        """Until `wanted` is on screen; `answers` are keys for questions that may come before it."""
        deadline = time.monotonic() + deadline_s
        while time.monotonic() < deadline:
            screen = self.screen()
            if wanted in screen:
                return screen
            for question, key in list((answers or {}).items()):
                if question in screen:
                    self.send(key)
                    answers.pop(question)
            time.sleep(0.2)
        raise AssertionError(f"{wanted!r} did not appear:\n{self.screen()}")

    def close(self):
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, timeout=20, check=False)


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
    terminal.send("-l", "hello")
    terminal.wait_for("› hello")  # Codex takes keys that come too fast for a paste
    terminal.send("Enter")
    answered = terminal.wait_for("Ask me to read")
    assert "metadata" not in answered
    wait_until(lambda: len(rehearsal.usages_since(offset)) >= 2)
    usages = rehearsal.usages_since(offset)
    assert all(usage.status == "completed" for usage in usages)
    # The title is asked for beside the turn, and needs no thinking.
    assert sorted(usage.reasoning_tokens > 0 for usage in usages) == [False, True]


def wait_until(condition, deadline_s=60):
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
