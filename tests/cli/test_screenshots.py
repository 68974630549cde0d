"""The pictures in the docs are what docs/screenshots/make.py makes out of real commands."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[2] / "docs"
MAKE = DOCS / "screenshots" / "make.py"
PICTURES = sorted(MAKE.parent.glob("*.svg"))


def test_a_picture_shows_what_the_command_prints(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, str(MAKE), "plan", "--folder", str(tmp_path)],
        env=os.environ | {"SGCX_HOME": str(tmp_path / "home")},
        check=True,
        timeout=120,
    )
    words = _words(tmp_path / "plan.svg")
    assert words.startswith("sgcx plan kimi-k2.6")
    assert "8 × NVIDIA H200" in words
    assert "mem_fraction_static" in words
    assert {path.name for path in tmp_path.glob("*.svg")} == {"plan.svg"}


def test_bars_that_are_drawn_again_are_shown_as_they_ended() -> None:
    screen = runpy.run_path(str(MAKE))["screen"]
    assert screen("load 10%\r\nwarm 0%\r\x1b[2K\x1b[1A\x1b[2Kload 100%\r\nwarm 50%\r\n") == [
        "load 100%",
        "warm 50%",
        "",
    ]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.stem)
def test_a_picture_in_the_docs_is_small_and_names_no_place_or_person(picture: Path) -> None:
    assert picture.stat().st_size < 60_000
    words = _words(picture)
    assert not re.findall(r"/(?:tmp|home|root|work|Users)\b", words)
    pages = [page.read_text(encoding="utf-8") for page in (DOCS.parent / "README.md", *DOCS.glob("*.md"))]
    assert any(f"screenshots/{picture.name}" in page for page in pages), "nobody sees it"


def test_every_picture_that_is_shown_exists() -> None:
    for page in (DOCS.parent / "README.md", *DOCS.glob("*.md")):
        for target in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"


def _words(picture: Path) -> str:
    texts = ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")
    return " ".join("".join(text.itertext()) for text in texts).replace("\xa0", " ")
