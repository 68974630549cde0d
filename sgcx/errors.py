"""The errors sgcx raises on purpose. Anything else that escapes is a bug.

    SgcxError
    ├── UserError        the machine, a file or a flag is not as it must be   → exit code 2
    ├── LaunchFailed     a child process did not do its work                  → exit code 1
    ├── InvalidRequest   a client sent something malformed                    → HTTP 400
    └── EngineError      the engine cannot serve this request                 → HTTP status, or `response.failed`

Errors raise; one place per edge translates them: `cli/app.py` to exit codes, `http/` to HTTP.
"""

from __future__ import annotations


class SgcxError(Exception):
    """`message` says what is wrong and names the thing; `hint` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UserError(SgcxError):
    exit_code = 2


class LaunchFailed(SgcxError):
    """`log_tail` holds the child's last lines, oldest first; `log_path` where the rest is."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        log_tail: tuple[str, ...] = (),
        log_path: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.log_tail = log_tail
        self.log_path = log_path


class InvalidRequest(SgcxError):
    """`param` is the JSON path of the field at fault, `code` one of OpenAI's string codes."""

    def __init__(self, message: str, *, param: str | None = None, code: str = "invalid_prompt") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class EngineError(SgcxError):
    """`code` is the string that clients act on; `status` the HTTP status while one can still be sent."""

    def __init__(self, message: str, *, code: str | None, status: int = 500, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s
