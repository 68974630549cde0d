"""Network adapters that could join two machines: physical ones, by kind and speed. No addresses."""

from __future__ import annotations

from pathlib import Path

from sgcx.planning.host_facts import NetworkAdapter


def read_network(root: Path = Path("/")) -> tuple[NetworkAdapter, ...]:
    return (*_remote_memory_adapters(root / "sys/class/infiniband"), *_ethernet(root / "sys/class/net"))


def _ethernet(folder: Path) -> tuple[NetworkAdapter, ...]:
    """Bridges, tunnels and the loopback have no device."""
    if not folder.is_dir():
        return ()
    physical = [path for path in sorted(folder.iterdir()) if (path / "device").exists() and _is_ethernet(path)]
    return tuple(
        NetworkAdapter(path.name, "ethernet", _ethernet_speed(path), _read(path / "operstate") == "up")
        for path in physical
    )


def _is_ethernet(path: Path) -> bool:
    return _read(path / "type") == "1"


def _ethernet_speed(path: Path) -> int | None:
    """The kernel writes -1, or refuses, where the speed is unknown."""
    speed = _read(path / "speed") or ""
    return int(speed) if speed.isdigit() else None


def _remote_memory_adapters(folder: Path) -> tuple[NetworkAdapter, ...]:
    if not folder.is_dir():
        return ()
    ports = [
        (device.name, port) for device in sorted(folder.iterdir()) for port in sorted((device / "ports").glob("*"))
    ]
    return tuple(
        NetworkAdapter(
            name if port.name == "1" else f"{name}:{port.name}",
            "infiniband" if _read(port / "link_layer") == "InfiniBand" else "roce",
            _rate(port),
            "ACTIVE" in (_read(port / "state") or ""),
        )
        for name, port in ports
    )


def _rate(port: Path) -> int | None:
    """The kernel writes `400 Gb/sec (4X NDR)`."""
    number = (_read(port / "rate") or "").partition(" ")[0]
    return round(float(number) * 1000) if number.replace(".", "", 1).isdigit() else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
