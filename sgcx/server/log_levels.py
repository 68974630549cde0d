"""How serious a log line is. Pure.

SGLang writes no level into its own lines, uvicorn and Python's warnings do; a traceback is an error to its last line.
"""

from __future__ import annotations

import re
from enum import IntEnum

from sgcx.server.failure import is_fatal


class LogLevel(IntEnum):
    INFO = 20
    WARNING = 30
    ERROR = 40


_TRACEBACK = re.compile(r"Traceback \(most recent call last\)")
_RAISED = re.compile(r"^(?:\[[^]]*\] )?(?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b(?::|$)")
_CONTINUES = re.compile(r"^(?:\s|\||During handling of|The above exception|$)")
_ERROR = re.compile(r"\b(?:ERROR|CRITICAL|FATAL)\b|\bhit an exception\b|\b(?:f|F)ailed\b|^sgcx: ")
_WARNING = re.compile(r"\bWARN(?:ING)?\b|\b\w*Warning:|\bdeprecated\b")


class LogLevels:
    """`feed` takes the lines in order."""

    def __init__(self) -> None:
        self._in_traceback = False

    def feed(self, line: str) -> LogLevel:
        if _TRACEBACK.search(line):
            self._in_traceback = True
            return LogLevel.ERROR
        if self._in_traceback:
            if _CONTINUES.match(line):
                return LogLevel.ERROR
            self._in_traceback = False
        if _RAISED.match(line) or _ERROR.search(line) or is_fatal(line):
            return LogLevel.ERROR
        return LogLevel.WARNING if _WARNING.search(line) else LogLevel.INFO
