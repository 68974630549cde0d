"""Terminals that do not know every character: each one that sgcx draws with has one of ASCII that stands for it.

It is done where text becomes bytes, so that nothing that prints needs to know. One character stands for one: columns
stay where they are.
"""

from __future__ import annotations

import codecs
import io
import sys

_STAND_INS = str.maketrans("×–·…°→±█▓▚▒▞░━╸╺", "x--~ >~#=%+i----")
_ERRORS = "sgcx.stand-ins"


def show_what_is_possible(*, ascii_only: bool = False) -> None:
    """From here on nothing fails because a terminal's encoding lacks a character."""
    codecs.register_error(_ERRORS, _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="ascii" if ascii_only else stream.encoding, errors=_ERRORS)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = error.object[error.start : error.end].translate(_STAND_INS)
    return shown.encode("ascii", "replace").decode("ascii"), error.end
