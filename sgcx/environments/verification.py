"""Is an installed environment what its lock says? Every file by its hash, every version by its number."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from sgcx.environments.package_lock import LockedPackage

IsPatchedFile = Callable[[Path, str], bool]
"""(site-packages, path relative to it): does sgcx's patch registry know this content?"""


@dataclass(frozen=True, slots=True)
class Problem:
    package: NormalizedName
    message: str


@dataclass(frozen=True, slots=True)
class _Distribution:
    name: NormalizedName
    version: str
    metadata: Path


@dataclass(frozen=True, slots=True)
class _RecordedFile:
    package: NormalizedName
    relative_path: str
    sha256: str


def verify_packages(
    site_packages: Path, lock: tuple[LockedPackage, ...], is_patched_file: IsPatchedFile
) -> list[Problem]:
    distributions = {found.name: found for found in _distributions(site_packages)}
    problems = [problem for package in lock for problem in _version_problems(package, distributions)]
    recorded = [file for found in distributions.values() for file in _recorded_files(found)]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        checked = pool.map(lambda file: _file_problem(site_packages, file, is_patched_file), recorded)
        return problems + [problem for problem in checked if problem is not None]


def _distributions(site_packages: Path) -> Iterator[_Distribution]:
    for metadata in sorted(site_packages.glob("*.dist-info")):
        try:
            headers = HeaderParser().parsestr((metadata / "METADATA").read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue  # a folder that an interrupted pip left behind is no distribution
        yield _Distribution(canonicalize_name(str(headers["Name"])), str(headers["Version"]), metadata)


def _version_problems(package: LockedPackage, distributions: dict[NormalizedName, _Distribution]) -> Iterator[Problem]:
    found = distributions.get(package.name)
    if found is None:
        yield Problem(package.name, f"{package.name} is not installed")
    elif not _same_version(found.version, package.version):
        yield Problem(package.name, f"{package.name} is {found.version}, the lock says {package.version}")
    elif not (found.metadata / "RECORD").is_file():
        yield Problem(package.name, f"{package.name} has no list of its files")


def _same_version(found: str, locked: str) -> bool:
    """2.13.0+cpu is a build of 2.13.0."""
    version = Version(found)
    return version == Version(locked) or Version(version.public) == Version(locked)


def _recorded_files(distribution: _Distribution) -> Iterator[_RecordedFile]:
    record = distribution.metadata / "RECORD"
    if not record.is_file():
        return
    with record.open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            algorithm, _, digest = row[1].partition("=") if len(row) > 1 else ("", "", "")
            if algorithm == "sha256":
                yield _RecordedFile(distribution.name, row[0], digest)


def _file_problem(site_packages: Path, file: _RecordedFile, is_patched_file: IsPatchedFile) -> Problem | None:
    path = site_packages / file.relative_path
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        return Problem(file.package, f"{path} cannot be read: {error.strerror}")
    if base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii") == file.sha256:
        return None
    if is_patched_file(site_packages, file.relative_path):
        return None
    return Problem(file.package, f"{path} is not the file that {file.package} installed")
