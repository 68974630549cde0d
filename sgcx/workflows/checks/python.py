"""Doctor on the Python that runs sgcx, and that engines are made with."""

from __future__ import annotations

from collections.abc import Iterable

from sgcx.environments.environment import EngineState, EngineStatus
from sgcx.workflows.checks.check import Check, Status

PYTHON = "Python"
_OLDEST_PYTHON = (3, 11)


def check_python(version: tuple[int, int, int], *, has_ensurepip: bool, engines: Iterable[EngineState]) -> list[Check]:
    shown = ".".join(map(str, version))
    too_new = [
        engine.spec
        for engine in engines
        if version[:2] > engine.spec.newest_python and engine.status is not EngineStatus.READY
    ]
    if version[:2] < _OLDEST_PYTHON:
        first = Check(PYTHON, "version", Status.FAIL, shown, "sgcx needs 3.11 or later", "Run it with a newer Python")
    elif too_new:
        newest = ".".join(map(str, too_new[0].newest_python))
        why = f"The packages of {too_new[0].name} are made for Python up to {newest}"
        first = Check(PYTHON, "version", Status.WARN, shown, why, f"Run sgcx with Python {newest} to install it")
    else:
        first = Check(PYTHON, "version", Status.OK, shown)
    if has_ensurepip:
        return [first, Check(PYTHON, "venv", Status.OK, "can make virtual environments")]
    mend = f"On Debian and Ubuntu: apt install python{version[0]}.{version[1]}-venv"
    why = "Engines are virtual environments"
    return [first, Check(PYTHON, "venv", Status.FAIL, "the module ensurepip is missing", why, mend)]
