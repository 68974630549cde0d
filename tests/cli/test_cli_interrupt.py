"""Ctrl-C ends a command with 130, and touches no server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from signals import as_from_a_terminal

from sgcx.server.records import ServerRecord
from sgcx.server.supervisor import Alive, liveness


def test_an_interrupt_while_following_a_log(home: Path, live_server: ServerRecord) -> None:
    with Path(live_server.log_path).open("a") as log:
        log.write("Authorization: Bearer sgcx-secret-key-of-a-test\n")
    command = [sys.executable, "-m", "sgcx", "logs", "-f"]
    environment = {**os.environ, "SGCX_HOME": str(home / "sgcx")}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=as_from_a_terminal,
    ) as logs:
        try:
            assert logs.stdout is not None
            line = logs.stdout.readline()  # so it is following by now
            logs.send_signal(signal.SIGINT)
            assert logs.wait(timeout=30) == 130
        finally:
            logs.kill()
    assert "Authorization" in line
    assert "secret" not in line
    assert isinstance(liveness(live_server), Alive)
