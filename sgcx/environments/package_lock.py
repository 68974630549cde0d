"""A lock: one exact version per package, with the hashes of its files where they are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

_HASH_OPTION = "--hash="


@dataclass(frozen=True, slots=True)
class LockedPackage:
    name: NormalizedName
    version: str
    hashes: tuple[str, ...]

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


def read_lock(path: Path) -> tuple[LockedPackage, ...]:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (line.strip() for line in text.splitlines())
    return tuple(_parse_line(path, line) for line in lines if line and not line.startswith("#"))


def _parse_line(path: Path, line: str) -> LockedPackage:
    pin, *options = line.split()
    try:
        requirement = Requirement(pin)
    except InvalidRequirement as error:
        raise ValueError(f"{path.name}: {pin!r} is not a requirement") from error
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator != "==":
        raise ValueError(f"{path.name}: {pin!r} does not name one exact version")
    if not all(option.startswith(_HASH_OPTION) for option in options):
        raise ValueError(f"{path.name}: {requirement.name} has an option that is not a hash")
    hashes = tuple(option.removeprefix(_HASH_OPTION) for option in options)
    return LockedPackage(canonicalize_name(requirement.name), specifiers[0].version, hashes)


def render_requirements(packages: Iterable[LockedPackage], *, hashes: bool = True) -> str:
    """A requirements file for pip. With any hash in it pip insists on one for every package."""
    lines = []
    for package in packages:
        options = "".join(f" {_HASH_OPTION}{digest}" for digest in package.hashes) if hashes else ""
        lines.append(f"{package.requirement}{options}\n")
    return "".join(lines)
