"""What `sgcx logs --level` shows."""

from __future__ import annotations

from sgcx.server.log_levels import LogLevel, LogLevels

LOG = """\
[2026-01-01 10:00:00] server_args=ServerArgs(model_path='m')
INFO:     127.0.0.1:1 - "GET /health HTTP/1.1" 200 OK
/venv/x.py:3: FutureWarning: old
  warnings.warn(text)
WARNING:  Invalid HTTP request received.
[2026-01-01 10:00:01] Scheduler hit an exception: Traceback (most recent call last):
  File "scheduler.py", line 1, in run
    raise ValueError("x")
ValueError: x

[2026-01-01 10:00:02] Decode batch, #running-req: 1
torch.OutOfMemoryError: CUDA out of memory.""".splitlines()


def test_lines_have_the_level_that_they_name_and_a_traceback_is_one_error() -> None:
    levels = LogLevels()
    assert [levels.feed(line).name for line in LOG] == [
        *("INFO", "INFO", "WARNING", "INFO", "WARNING"),
        *("ERROR", "ERROR", "ERROR", "ERROR", "INFO", "INFO", "ERROR"),
    ]


def test_levels_are_ordered() -> None:
    assert LogLevel.INFO < LogLevel.WARNING < LogLevel.ERROR
