"""`sgcx patch` without an engine: what it explains, exports and refuses."""

from __future__ import annotations

from pathlib import Path

from cli_runner import Said, Sgcx
from inline_snapshot import snapshot

from sgcx.engines.patches.registry import PATCHES


def test_the_list_explains_each_patch(sgcx: Sgcx) -> None:
    assert sgcx("patch", "list") == snapshot(
        Said(
            exit_code=0,
            stdout="""\
mount-point for SGLang 0.5.10.post1
  Purpose   lets another package's routes into the HTTP server, before the built-in ones
  File      sglang/srt/entrypoints/http_server.py
  Where     module level, after the first include_router
  Upstream  0.5.11 and later load plugins from the entry point group sglang.srt.plugins
cpu-grammar for SGLang 0.5.10.post1
  Purpose   applies JSON schemas and grammars when the engine runs on a CPU
  File      sglang/srt/constrained/xgrammar_backend.py
  Where     XGrammarGrammar.apply_vocab_mask
  Upstream  0.5.23 has the same branch
abort-state for SGLang 0.5.10.post1
  Purpose   forgets requests that are aborted in the waiting queue, and survives a late abort
  File      sglang/srt/managers/tokenizer_manager.py
  Where     TokenizerManager._handle_abort_req
  Upstream  0.5.13 and later delete the state there
""",
            stderr="",
        )
    )


def test_the_list_for_a_program(sgcx: Sgcx) -> None:
    said = sgcx("patch", "list", "--json").json
    assert isinstance(said, list)
    assert [patch["name"] for patch in said] == [patch.name for patch in PATCHES]


def test_export_writes_the_plain_diffs(sgcx: Sgcx, home: Path) -> None:
    assert sgcx("patch", "export", "out") == snapshot(
        Said(
            exit_code=0,
            stdout="""\
out/mount-point.patch
out/cpu-grammar.patch
out/abort-state.patch
""",
            stderr="Apply them in the folder that holds the `sglang` package: patch -p1 < FILE\n",
        )
    )
    assert (home / "out" / "mount-point.patch").read_text() == PATCHES[0].text


def test_export_of_a_version_without_patches(sgcx: Sgcx) -> None:
    assert sgcx("patch", "export", "out", "--sglang", "1.0") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: There are no patches for SGLang 1.0

hint: Versions with patches: 0.5.10.post1
""",
        )
    )


def test_export_to_a_place_that_cannot_be(sgcx: Sgcx, home: Path) -> None:
    (home / "file").touch()
    assert sgcx("patch", "export", "file") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: The patches cannot be written to file: File exists

hint: Choose another folder
""",
        )
    )


def test_a_target_without_sglang_is_named(sgcx: Sgcx, home: Path) -> None:
    assert sgcx("patch", "status", "--target", str(home)) == snapshot(
        Said(exit_code=2, stdout="", stderr="error: [HOME] does not hold one installed SGLang\n")
    )
    assert sgcx("patch", "apply", "--target", str(home / "absent")) == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: [HOME]/absent does not exist

hint: Give a Python interpreter or its site-packages folder
""",
        )
    )


def test_a_changed_sglang_is_refused_with_file_and_hashes(sgcx: Sgcx, home: Path) -> None:
    site_packages = _changed_sglang(home)
    refused = sgcx("patch", "apply", "mount-point", "--target", str(site_packages))
    assert refused == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: [HOME]/site-packages/sglang/srt/entrypoints/http_server.py was not patched: its SHA-256 is c2fcb4252a7f9949107f6d760c77db98f0b5e4b10799fe5c2b5cba595de52015, SGLang 0.5.10.post1 has 10444fc690914b7d0a0c44b1bfc3b60184e6485372a682156e9f07a48980895d

hint: `sgcx engine repair` mends an engine of sgcx; elsewhere reinstall SGLang, or undo the foreign change
""",  # noqa: E501
        )
    )
    status = sgcx("patch", "status", "--target", str(site_packages), "--json")
    assert status.exit_code == 1
    assert isinstance(status.json, dict)
    assert [patch["state"] for patch in status.json["patches"]] == ["conflict"] * len(PATCHES)


def test_an_unknown_patch_lists_the_known(sgcx: Sgcx, home: Path) -> None:
    assert sgcx("patch", "apply", "mount", "--target", str(_changed_sglang(home))) == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: There is no patch 'mount' for SGLang 0.5.10.post1

hint: Patches for it: mount-point, cpu-grammar, abort-state
""",
        )
    )


def _changed_sglang(home: Path) -> Path:
    site_packages = home / "site-packages"
    (site_packages / "sglang-0.5.10.post1.dist-info").mkdir(parents=True)
    for patch in PATCHES:
        path = site_packages / patch.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# somebody else's\n")
    return site_packages
