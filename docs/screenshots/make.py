"""Makes the pictures beside this file out of what the commands print on a terminal.

    python docs/screenshots/make.py                  # all, with a rehearsal server of their own
    python docs/screenshots/make.py plan compare     # these; `up` and `top` alone need an installed engine

Each runs the real command on a pseudo-terminal, in a home folder of its own that borrows the installed engines and
Codex. `plan` is of a recorded machine, the others of the one that this runs on; its name and folders are left out.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from sgcx.paths import Paths

FOLDER = Path(__file__).resolve().parent
MACHINE = FOLDER.parents[1] / "tests" / "machines" / "8xH200.json"
COLUMNS = 100
_CONTROL = re.compile(r"\n|\r|\x1b\[(?P<count>\d*)A|\x1b\[2K|\x1b\[\?25[lh]")
_FONT_FROM_ELSEWHERE = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Picture:
    """`shown` is the command as a reader would type it; `arguments` is what runs."""

    shown: str
    arguments: tuple[str, ...]
    needs_server: bool = False
    under_load: bool = False
    """Sessions work on the server meanwhile."""


PICTURES = {
    "plan": Picture("sgcx plan kimi-k2.6", ("plan", "kimi-k2.6", "--hardware", str(MACHINE))),
    "compare": Picture("sgcx plan kimi-k2.6 --compare", ("plan", "kimi-k2.6", "--compare", "--hardware", str(MACHINE))),
    "up": Picture("sgcx up rehearsal", ("up", "rehearsal", "--port", "0", "--yes"), needs_server=True),
    "top": Picture("sgcx top", ("top", "--once", "--interval", "5"), needs_server=True, under_load=True),
    "doctor": Picture("sgcx doctor --summary", ("doctor", "--summary")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="PICTURE", help=", ".join(PICTURES))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go")
    options = parser.parse_args()
    names = options.names or list(PICTURES)
    if unknown := set(names) - set(PICTURES):
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    with _home() as home:
        outputs = _outputs([name for name in PICTURES if name in names], home)
        for name, output in outputs:
            text = _without_this_machine(output, home)
            (options.folder / f"{name}.svg").write_text(draw(name, screen(text)), encoding="utf-8")


def screen(output: str) -> list[str]:
    """The rows, coloured, that a terminal shows in the end; progress bars go back over what they have drawn."""
    rows, row, position = [""], 0, 0
    for control in _CONTROL.finditer(output):
        rows[row] += output[position : control.start()]
        position = control.end()
        match control[0]:
            case "\n":
                row += 1
                rows.extend([""] * (row + 1 - len(rows)))
            case "\x1b[2K":
                rows[row] = ""
            case up if up.endswith("A"):
                row = max(0, row - int(control["count"] or 1))
    rows[row] += output[position:]
    return rows


def draw(name: str, rows: list[str]) -> str:
    """An SVG without fonts or anything else from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), color_system="truecolor", force_terminal=True)
    for row in "\n".join(rows).rstrip().split("\n"):
        console.print(Text.from_ansi(row.rstrip()))
    template = _FONT_FROM_ELSEWHERE.sub("", CONSOLE_SVG_FORMAT)
    return console.export_svg(title=PICTURES[name].shown, code_format=template, unique_id=name)


def _outputs(names: list[str], home: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    served = any(PICTURES[name].needs_server for name in names)
    try:
        if served and "up" not in names:
            _on_a_terminal(PICTURES["up"].arguments, home)
        for name in names:
            with _sessions(home) if PICTURES[name].under_load else nullcontext():
                yield name, _on_a_terminal(PICTURES[name].arguments, home)
    finally:
        if served:
            subprocess.run(_command("down"), env=dict(home), check=False)


@contextmanager
def _sessions(home: Mapping[str, str]) -> Iterator[None]:
    """Four at once, for longer than a picture takes."""
    options = ("--streams", "4", "--prefix", "2000", "--turns", "50")
    bench = subprocess.Popen(_command("bench", *options), env=dict(home), stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        bench.terminate()
        bench.wait()


@contextmanager
def _home() -> Iterator[dict[str, str]]:
    """An environment whose home folder is new, with Codex in it where there is one."""
    engines = Paths.from_environment().data
    with tempfile.TemporaryDirectory(prefix="sgcx-pictures-") as folder:
        share = Path(folder, ".local", "share")
        share.mkdir(parents=True)
        (share / "sgcx").symlink_to(engines)
        programs = Path(folder, ".local", "bin")
        programs.mkdir()
        if codex := shutil.which("codex"):
            (programs / "codex").symlink_to(codex)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SGCX_", "XDG_", "CODEX_"))}
        shape = {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        yield kept | shape | {"HOME": folder, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def _on_a_terminal(arguments: tuple[str, ...], environment: Mapping[str, str]) -> str:
    """What the command writes. Ends all where it failed; doctor's exit code 1 only says that it found something."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    process = subprocess.Popen(
        _command(*arguments), env=dict(environment), stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        output = b"".join(_until_closed(terminal.fileno()))
    if process.wait() not in ((0, 1) if arguments[0] == "doctor" else (0,)):
        sys.exit(f"sgcx {' '.join(arguments)}: exit code {process.returncode}\n{output.decode()}")
    return output.decode()


def _until_closed(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            block = os.read(descriptor, 65536)
        except OSError:  # EIO: Linux's end of file on a pseudo-terminal
            return
        if not block:
            return
        yield block


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sgcx", *arguments]


def _without_this_machine(output: str, environment: Mapping[str, str]) -> str:
    system = os.uname()
    output = output.replace(environment["HOME"], "~").replace(system.nodename, "workstation")
    return output.replace(system.release, system.release.partition("-")[0])


if __name__ == "__main__":
    main()
