"""The errors sgcx raises on purpose. Anything else that escapes is a bug.

    SgcxError
    ├── UserError        the machine, a file or a flag is not as it must be   → exit code 2
    ├── LaunchFailed     a child process did not do its work                  → exit code 1
    ├── InvalidRequest   a client sent something malformed                    → HTTP 400
    └── EngineError      the engine cannot serve this request                 → HTTP status, or `response.failed`

A disk that is full or a file of another user's is the machine's `OSError`: `machine_error` puts it into words.

Errors raise; one place per edge translates them: `cli/app.py` to exit codes, `http/` to HTTP.
"""

from __future__ import annotations

import errno

_NO_SPACE = "Free some space there, or let SGCX_HOME name a folder on another disk"
_NOT_YOURS = "Another user has made it, perhaps you with `sudo`: `chown` gives it back"
_NO_FOLDER = "SGCX_HOME can name a folder elsewhere"
_MACHINE_HINTS = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EACCES: _NOT_YOURS,
    errno.EPERM: _NOT_YOURS,
    errno.EROFS: _NO_FOLDER,
    errno.ENOTDIR: _NO_FOLDER,
    errno.ENAMETOOLONG: _NO_FOLDER,
    errno.EIO: "The disk may be failing: `dmesg` says more",
}


class SgcxError(Exception):
    """`message` says what is wrong and names the thing; `hint` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UserError(SgcxError):
    exit_code = 2


def machine_error(error: OSError) -> UserError | None:
    """What is wrong with the machine, in words; None where the error would be a defect of ours."""
    hint = _MACHINE_HINTS.get(error.errno or 0)
    if hint is None:
        return None
    reason = error.strerror or "the disk refuses"
    return UserError(reason if error.filename is None else f"{error.filename}: {reason}", hint=hint)


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
