"""`sgcx top` where nothing runs, where a server is deaf, and on terminals of each width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sgcx.cli.top_view import draw
from sgcx.hardware.gpu_load import GpuLoad
from sgcx.server.records import ServerState
from sgcx.workflows.top import Load, ServerLoad

GIB = 1 << 30
BUSY = ServerLoad(
    "kimi", ServerState.RUNNING, "kimi-k2.6", None, 3, 12, 3, 0.41, 0.93, 1234.0, 87.6, 0.42, 12.5, 0.0114, 2
)
DEAF = ServerLoad("r1", ServerState.RUNNING, "r1", "its /metrics does not answer: ConnectError")
GPUS = tuple(GpuLoad(index, "NVIDIA H200", 97, 120 * GIB, 140 * GIB, 640.0, 700.0, 66) for index in range(2))
BARE = GpuLoad(0, "NVIDIA GB10", None, None, None, None, None, None)


def drawn(load, width):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(draw(load, width=width))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_it_fits_the_terminal(width):
    text = drawn(Load((BUSY, DEAF), GPUS), width)
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    assert "420 ms" in text and " 88 " in text
    assert ("12.5 s" in text and "93%" in text) is (width >= 56)
    assert "640/700 W" in text and "120/140 GiB" in text
    assert ("kimi-k2.6" in text) is (width >= 110)


def test_what_is_not_known_is_a_dash_and_a_deaf_server_is_said():
    text = drawn(Load((DEAF,), (BARE,)), 80)
    assert "r1  RUNNING: its /metrics does not answer" in text
    assert text.splitlines()[-1].split() == ["0", "-", "-", "-", "-"]


def test_without_servers_it_says_so(sgcx):
    said = sgcx("top", "--once")
    assert (said.exit_code, said.stdout) == (0, "No server has been started\n\nNo NVIDIA GPU\n")
    assert sgcx("top", "--once", "--json").json == {"servers": [], "gpus": []}


def test_a_server_that_does_not_answer_is_a_finding(sgcx, live_server):
    (found,) = sgcx("top", "--json", "--interval", "0.2").json["servers"]
    assert found["name"] == "one"
    assert found["problem"] is not None
    assert found["running"] is None


def test_a_server_that_does_not_exist_is_an_error(sgcx):
    said = sgcx("top", "nobody", "--once")
    assert said.exit_code == 2
    assert "There is no server 'nobody'" in said.stderr
