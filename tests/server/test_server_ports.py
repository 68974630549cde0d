from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from sgcx.errors import UserError
from sgcx.server.ports import PortOwner, check_port, client_url, free_port, listens, require_free_port

LISTENS = """
import signal, socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
signal.pause()
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_free_port_is_free() -> None:
    assert check_port("127.0.0.1", free_port("127.0.0.1")) is None
    require_free_port("127.0.0.1", 0)


def test_the_owner_of_a_port_is_named(listener: socket.socket) -> None:
    owner = check_port("127.0.0.1", listener.getsockname()[1])
    assert owner is not None
    assert owner.pid == os.getpid()
    assert owner.name == psutil.Process().name()


def test_the_message_names_pid_and_command_without_secrets() -> None:
    command = [sys.executable, "-c", LISTENS, "--api-key", "SECRET123"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with pytest.raises(UserError, match=rf"port {port} .*pid {process.pid} \(.*python") as caught:
            require_free_port("127.0.0.1", port)
        process.kill()
    assert "SECRET123" not in caught.value.message
    assert caught.value.hint is not None and "--port" in caught.value.hint


def test_an_owner_that_cannot_be_seen_is_said_to_be_so(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: str) -> list[object]:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", nobody)
    port = listener.getsockname()[1]
    assert check_port("127.0.0.1", port) == PortOwner(None)
    with pytest.raises(UserError, match="cannot see"):
        require_free_port("127.0.0.1", port)


def test_a_port_taken_on_one_address_is_taken_for_all(listener: socket.socket) -> None:
    assert check_port("0.0.0.0", listener.getsockname()[1]) is not None


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    for ask in (lambda: check_port(host, 30000), lambda: free_port(host)):
        with pytest.raises(UserError, match=r"cannot listen on|no address of this machine"):
            ask()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("::", "http://[::1]:80"),
        ("box.example", "http://box.example:80"),
    ],
)
def test_where_clients_reach_a_server_that_listens_there(host: str, url: str) -> None:
    assert client_url(host, 80) == url


def test_whether_one_of_these_processes_listens(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert listens(port, [1, os.getpid()])
    assert not listens(port, [1])
    assert not listens(free_port("127.0.0.1"), [os.getpid()])
