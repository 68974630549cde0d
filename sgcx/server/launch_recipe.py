"""How to start a server again exactly as it was started: `launch.json` beside its `child.json`.

What the user's environment holds, tokens included, is not in it: that comes from whoever starts it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sgcx.atomic_write import write_atomically
from sgcx.errors import UserError
from sgcx.server.child_config import CONFIG_NAME, ChildConfig, load_child_config

RECIPE_NAME = "launch.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class LaunchRecipe:
    """`environment`: on top of the user's. `weights`: repositories and revisions that must be on this machine."""

    name: str
    profile: str
    scripted: bool
    engine: str
    sglang_version: str
    host: str
    port: int
    gpu_indices: tuple[int, ...]
    environment: Mapping[str, str]
    without_patches: tuple[str, ...]
    deadline_s: float
    weights: tuple[tuple[str, str | None], ...]
    child: ChildConfig


def save_recipe(server_dir: Path, recipe: LaunchRecipe) -> Path:
    """The path of the child's configuration, which is what the child is told."""
    document = {name: getattr(recipe, name) for name in LaunchRecipe.__slots__ if name not in ("name", "child")}
    write_atomically(server_dir / RECIPE_NAME, json.dumps({"format": FORMAT, **document}, indent=1).encode())
    config_path = server_dir / CONFIG_NAME
    write_atomically(config_path, recipe.child.to_json().encode())
    return config_path


def load_recipe(server_dir: Path) -> LaunchRecipe:
    try:
        document = json.loads((server_dir / RECIPE_NAME).read_bytes())
        if document["format"] != FORMAT:
            raise ValueError("another version wrote it")
        return LaunchRecipe(
            name=server_dir.name,
            profile=str(document["profile"]),
            scripted=bool(document["scripted"]),
            engine=str(document["engine"]),
            sglang_version=str(document["sglang_version"]),
            host=str(document["host"]),
            port=int(document["port"]),
            gpu_indices=tuple(map(int, document["gpu_indices"])),
            environment={str(name): str(value) for name, value in document["environment"].items()},
            without_patches=tuple(map(str, document["without_patches"])),
            deadline_s=float(document["deadline_s"]),
            weights=tuple((str(repository), revision) for repository, revision in document["weights"]),
            child=load_child_config(server_dir / CONFIG_NAME),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"How {server_dir.name!r} was started is not known: {server_dir / RECIPE_NAME} cannot be used",
            hint=f"`sgcx down {server_dir.name}`, then `sgcx up` with its profile",
        ) from error
