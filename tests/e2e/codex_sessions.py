"""Codex at work on a running server: its own events, and what the server counted for each of its requests."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

EXEC = ("exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
"""Several arguments may stand behind these: options, `resume --last`, `review`, the prompt."""


@dataclass(frozen=True)
class Session:
    """What `codex exec --json` reported, and what the server counted for each of its requests."""

    exit_code: int
    events: list[dict]
    stderr: str
    usages: list

    def items(self, kind):
        done = [event["item"] for event in self.events if event["type"] == "item.completed"]
        return [item for item in done if item["type"] == kind]

    @property
    def answer(self):
        return self.items("agent_message")[-1]["text"]

    @property
    def commands(self):
        return [(item["exit_code"], item["command"]) for item in self.items("command_execution")]

    @property
    def failure(self):
        """What a user reads when the turn fails."""
        last = self.events[-1]
        assert last["type"] == "turn.failed", last
        return last["error"]["message"]

    @property
    def reconnects(self):
        messages = [event["message"] for event in self.events if event["type"] == "error"]
        return [message for message in messages if message.startswith("Reconnecting")]

    def check_completed(self) -> None:
        assert self.exit_code == 0, [self.events[-3:], self.stderr]
        assert self.events[-1]["type"] == "turn.completed"
        assert not self.items("error"), self.items("error")
        assert "metadata" not in self.stderr
        assert all(usage.status == "completed" for usage in self.usages)


@dataclass(frozen=True)
class CodexRunner:
    """`codex exec` in one folder. `command`: `sgcx codex`, or a Codex that has its own configuration."""

    rehearsal: object
    directory: Path
    command: tuple[str, ...] = (sys.executable, "-m", "sgcx", "codex")
    environment: dict[str, str] = field(default_factory=dict)
    timeout_s: float = 240

    def popen(self, *arguments) -> subprocess.Popen:
        return subprocess.Popen(
            [*self.command, *EXEC, *arguments],
            cwd=self.directory,
            env={**self.rehearsal.machine.environment, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments) -> Session:
        offset = self.rehearsal.log.stat().st_size
        process = self.popen(*arguments)
        return self.finish(process, offset)

    def finish(self, process: subprocess.Popen, offset: int) -> Session:
        try:
            stdout, stderr = process.communicate(timeout=self.timeout_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            stdout, stderr = process.communicate()
        events = [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]
        return Session(process.returncode, events, stderr, self.rehearsal.usages_since(offset))

    def completed(self, *arguments) -> Session:
        """A turn that ends well, without a warning on the way."""
        session = self(*arguments)
        session.check_completed()
        return session


def run_without_profile_files(rehearsal, home: Path, directory: Path, binary: Path) -> CodexRunner:
    """Older ones know none, and read the keys of ours in their config.toml."""
    profile = Path(rehearsal.machine.environment["CODEX_HOME"]) / "sgcx.config.toml"
    shutil.copyfile(profile, home / "config.toml")
    return CodexRunner(rehearsal, directory, (str(binary),), {"CODEX_HOME": str(home), "NO_PROXY": "127.0.0.1"})


def wait_for(condition, deadline_s=60):
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)
