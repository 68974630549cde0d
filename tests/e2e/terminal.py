"""A terminal that a program believes in: tmux, driven by keys and read as text."""

from __future__ import annotations

import subprocess
import time


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
