"""Which patches there are, what each is for, and the exact file it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from sgcx.engines.patches.unified_diff import Edit, parse_unified_diff
from sgcx.errors import UserError


@dataclass(frozen=True)
class Patch:
    name: str
    sglang_version: str
    purpose: str
    file: str
    """Relative to the folder that holds the `sglang` package."""
    where: str
    """The function, or the place in the module, that it changes."""
    upstream: str
    """How later SGLang versions do it, which is when this patch ends."""
    pristine_sha256: str
    """Of the file as SGLang published it."""
    patched_sha256: str
    """Of the file with this patch and no other."""
    needs: tuple[str, ...] = ()
    """Patches without which this one does harm."""
    needed_by_sgcx: bool = False
    """sgcx's own endpoint cannot be served without it."""

    @cached_property
    def text(self) -> str:
        resource = files(__package__) / self.sglang_version / f"{self.name}.patch"
        return resource.read_text(encoding="utf-8")

    @cached_property
    def edits(self) -> tuple[Edit, ...]:
        return parse_unified_diff(self.text)


PATCHES: tuple[Patch, ...] = (
    Patch(
        name="mount-point",
        sglang_version="0.5.10.post1",
        purpose="lets another package's routes into the HTTP server, before the built-in ones",
        file="sglang/srt/entrypoints/http_server.py",
        where="module level, after the first include_router",
        upstream="0.5.11 and later load plugins from the entry point group sglang.srt.plugins",
        pristine_sha256="10444fc690914b7d0a0c44b1bfc3b60184e6485372a682156e9f07a48980895d",
        patched_sha256="0e538a147766bbae9df55eabd7f61b7d14db825f2bfb4e1b88907dfaef97bd3b",
        needed_by_sgcx=True,
    ),
    Patch(
        name="cpu-grammar",
        sglang_version="0.5.10.post1",
        purpose="applies JSON schemas and grammars when the engine runs on a CPU",
        file="sglang/srt/constrained/xgrammar_backend.py",
        where="XGrammarGrammar.apply_vocab_mask",
        upstream="0.5.23 has the same branch",
        pristine_sha256="36a4e6cbcf94298ab2de2a834bd2aafe2ef5c8ac4b8df2f8be6d1fc2534c7b5c",
        patched_sha256="865d79467b8ee3efe04a3543fc543c676ed9d0a46bcda4f35e3bd866ad484664",
    ),
    Patch(
        name="abort-state",
        sglang_version="0.5.10.post1",
        purpose="forgets requests that are aborted in the waiting queue, and survives a late abort",
        file="sglang/srt/managers/tokenizer_manager.py",
        where="TokenizerManager._handle_abort_req",
        upstream="0.5.13 and later delete the state there",
        pristine_sha256="5645ffcd9c61bd1d8c4c4062ebe41a6b48ae8e07891c56e6b2b7dcfb8d16d834",
        patched_sha256="b5aba531e6bc6011137a1427a77ad4c13b938e8a402dc8d58d4b37a0d9735dbb",
    ),
)


def patches_for(sglang_version: str, names: Iterable[str] | None = None) -> tuple[Patch, ...]:
    """The patches for one SGLang version, in the registry's order; all of them, or those in `names`."""
    known = tuple(patch for patch in PATCHES if patch.sglang_version == sglang_version)
    if names is None:
        return known
    wanted = set(names)
    unknown = sorted(wanted - {patch.name for patch in known})
    if unknown:
        available = ", ".join(patch.name for patch in known) or "none"
        raise UserError(
            f"There is no patch {unknown[0]!r} for SGLang {sglang_version}", hint=f"Patches for it: {available}"
        )
    return tuple(patch for patch in known if patch.name in wanted)


def patches_without(sglang_version: str, left_out: Iterable[str]) -> tuple[Patch, ...]:
    """All patches for one SGLang version but those left out; none may need one of these."""
    absent = {patch.name for patch in patches_for(sglang_version, left_out)}
    present = tuple(patch for patch in patches_for(sglang_version) if patch.name not in absent)
    for patch in present:
        for missing in absent.intersection(patch.needs):
            raise UserError(f"The patch {patch.name!r} needs {missing!r}", hint="Leave out both, or neither")
    return present
