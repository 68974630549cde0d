"""A small model of three shards on a hub of this machine, and the command line that pulls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from signals import as_from_a_terminal
from weights_hub import SHARDS, Hub, safetensors, serve_hub


@dataclass
class Puller:
    hub: Hub
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        return self.home / "hub" / "hub"

    @property
    def repository(self) -> Path:
        return self.cache / "models--owner--model"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sgcx", *arguments],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
                "PYTHONDONTWRITEBYTECODE": "1",
                "HOME": str(self.home),
                "SGCX_HOME": str(self.home / "sgcx"),
                "HF_HOME": str(self.home / "hub"),
                "HF_ENDPOINT": self.hub.url,
                "HF_HUB_DISABLE_XET": "1",
                "COLUMNS": "200",
                **self.environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=as_from_a_terminal,
        )

    def sgcx(self, *arguments: str) -> tuple[int, str, str]:
        with self.start(*arguments) as process:
            out, error = process.communicate(timeout=90)
        return process.returncode, out, error


@pytest.fixture
def puller(tmp_path: Path) -> Iterator[Puller]:
    files = {name: safetensors(number, 300_000) for number, name in enumerate(SHARDS)}
    weight_map = {f"t{number}": name for number, name in enumerate(SHARDS)}
    files |= {
        "config.json": b"{}",
        "model.safetensors.index.json": json.dumps({"weight_map": weight_map}).encode(),
        "original/consolidated.00.pth": b"another copy",
        "pytorch_model.bin": b"and another",
    }
    with serve_hub(files) as hub:
        yield Puller(hub, tmp_path)
