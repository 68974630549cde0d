"""How a setting is written on the command line of each SGLang release. Settings have 0.5.10.post1's names."""

from __future__ import annotations

from sgcx.planning.driver import is_at_least

_RENAMED: dict[str, tuple[tuple[str, str], ...]] = {
    # Setting: the release from which it has another name, and that name.
    "cuda_graph_max_bs": (("0.5.16", "cuda_graph_max_bs_decode"),),
}


def flag_name(setting: str, sglang_version: str) -> str:
    """`cuda_graph_max_bs` → `--cuda-graph-max-bs`, or what this release calls it."""
    name = setting
    for since, renamed in _RENAMED.get(setting, ()):
        if is_at_least(sglang_version, since):
            name = renamed
    return f"--{name.replace('_', '-')}"
