"""Is a port free, and if not, whose is it? Asked before a launch, because SGLang asks only after loading."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass

import psutil

from sgcx.errors import UserError
from sgcx.server.redaction import redact


@dataclass(frozen=True, slots=True)
class PortOwner:
    """All None: the owner is another user's process, or in another container."""

    pid: int | None
    name: str | None = None
    command: str | None = None

    def __str__(self) -> str:
        if self.pid is None:
            return "a process that this user cannot see (another user's, or in a container)"
        return f"pid {self.pid} ({self.command or self.name})"


def check_port(host: str, port: int) -> PortOwner | None:
    """None when a server could bind there now."""
    family, kind, protocol, _, address = _resolve(host, port)
    try:
        with socket.socket(family, kind, protocol) as probe:
            # As uvicorn does: a port whose last connections are in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return port_owner(port)
        raise _cannot_listen(host, port, error) from error
    return None


def _cannot_listen(host: str, port: int, error: OSError) -> UserError:
    return UserError(
        f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}",
        hint="choose an address of this machine with `--host` and a port above 1023 with `--port`",
    )


def client_url(host: str, port: int) -> str:
    """Where clients on this machine reach a server that listens there. One on all addresses has the loopback, too."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def listens(port: int, pids: Collection[int]) -> bool:
    """Is it one of these processes that answers on the port?"""
    return any(owner in pids for owner in _listeners(port))


def require_free_port(host: str, port: int) -> None:
    owner = check_port(host, port)
    if owner is None:
        return
    raise UserError(
        f"the port {port} on {host} is in use by {owner}",
        hint="stop that process, or choose another port with `--port`",
    )


def free_port(host: str) -> int:
    """A port that nobody listens on now; somebody else may take it before you do."""
    family, kind, protocol, _, address = _resolve(host, 0)
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
            port = probe.getsockname()[1]
    except OSError as error:
        raise _cannot_listen(host, 0, error) from error
    assert isinstance(port, int)
    return port


def _resolve(
    host: str, port: int
) -> tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise UserError(
            f"{host!r} is no address of this machine: {error.strerror}",
            hint="use 127.0.0.1, or an address that `ip addr` shows, with `--host`",
        ) from error
    family, kind, protocol, name, address = found[0]
    if not isinstance(address[0], str):  # a Python built without IPv6 answers with bytes
        raise UserError(f"{host!r} cannot be used: this Python has no IPv6", hint="use an IPv4 address")
    return family, kind, protocol, name, address


def port_owner(port: int) -> PortOwner:
    """Of a port that is in use."""
    return next((_describe(pid) for pid in _listeners(port)), PortOwner(None))


def _listeners(port: int) -> tuple[int, ...]:
    """Those that this user can see."""
    with contextlib.suppress(psutil.Error):
        return tuple(
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,) and connection.pid
        )
    return ()


def _describe(pid: int) -> PortOwner:
    try:
        process = psutil.Process(pid)
        command = redact(" ".join(process.cmdline()))
        return PortOwner(pid, process.name(), command[:200] or None)
    except psutil.Error:
        return PortOwner(pid)
