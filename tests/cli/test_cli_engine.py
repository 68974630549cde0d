"""`sgcx engine` where none is installed, and where one is half made."""

from __future__ import annotations

from pathlib import Path

from cli_runner import Said, Sgcx
from inline_snapshot import snapshot

from sgcx.server.records import ServerRecord

CPU = "sglang-0.5.10.post1-cpu"


def test_the_list_shows_engines_that_could_be_installed(sgcx: Sgcx) -> None:
    assert sgcx("engine") == snapshot(
        Said(
            exit_code=0,
            stdout="""\
Name                       State   For          Size  Note               \n\
sglang-0.5.10.post1-cpu    absent  the CPU            it is not installed
sglang-0.5.10.post1-cu129  absent  NVIDIA GPUs        it is not installed
sglang-0.5.11-cpu          absent  the CPU            it is not installed
sglang-0.5.16-cpu          absent  the CPU            it is not installed
sglang-0.5.20-cpu          absent  the CPU            it is not installed
sglang-0.5.23-cpu          absent  the CPU            it is not installed
""",
            stderr="",
        )
    )
    assert sgcx("engine", "list") == sgcx("engine")


def test_the_list_for_a_program(sgcx: Sgcx) -> None:
    assert sgcx("engine", "list", "--json").json == snapshot(
        [
            {
                "name": "sglang-0.5.10.post1-cpu",
                "sglang_version": "0.5.10.post1",
                "accelerator": "cpu",
                "status": "absent",
                "reason": "it is not installed",
                "path": "[HOME]/sgcx/data/engines/sglang-0.5.10.post1-cpu",
                "size_bytes": 0,
            },
            {
                "name": "sglang-0.5.10.post1-cu129",
                "sglang_version": "0.5.10.post1",
                "accelerator": "cuda",
                "status": "absent",
                "reason": "it is not installed",
                "path": "[HOME]/sgcx/data/engines/sglang-0.5.10.post1-cu129",
                "size_bytes": 0,
            },
            {
                "name": "sglang-0.5.11-cpu",
                "sglang_version": "0.5.11",
                "accelerator": "cpu",
                "status": "absent",
                "reason": "it is not installed",
                "path": "[HOME]/sgcx/data/engines/sglang-0.5.11-cpu",
                "size_bytes": 0,
            },
            {
                "name": "sglang-0.5.16-cpu",
                "sglang_version": "0.5.16",
                "accelerator": "cpu",
                "status": "absent",
                "reason": "it is not installed",
                "path": "[HOME]/sgcx/data/engines/sglang-0.5.16-cpu",
                "size_bytes": 0,
            },
            {
                "name": "sglang-0.5.20-cpu",
                "sglang_version": "0.5.20",
                "accelerator": "cpu",
                "status": "absent",
                "reason": "it is not installed",
                "path": "[HOME]/sgcx/data/engines/sglang-0.5.20-cpu",
                "size_bytes": 0,
            },
            {
                "name": "sglang-0.5.23-cpu",
                "sglang_version": "0.5.23",
                "accelerator": "cpu",
                "status": "absent",
                "reason": "it is not installed",
                "path": "[HOME]/sgcx/data/engines/sglang-0.5.23-cpu",
                "size_bytes": 0,
            },
        ]
    )


def test_nothing_can_be_done_with_an_engine_that_is_absent(sgcx: Sgcx) -> None:
    assert sgcx("engine", "verify") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: No engine is installed

hint: `sgcx engine install`, or `sgcx up`
""",
        )
    )
    assert sgcx("engine", "repair", CPU) == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: The engine sglang-0.5.10.post1-cpu is not installed

hint: `sgcx engine install sglang-0.5.10.post1-cpu`
""",
        )
    )
    assert sgcx("engine", "remove", CPU, "--yes") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: The engine sglang-0.5.10.post1-cpu is not installed

hint: `sgcx engine install sglang-0.5.10.post1-cpu`
""",
        )
    )


def test_an_unknown_engine_lists_the_known(sgcx: Sgcx) -> None:
    assert sgcx("engine", "install", "sglang-9") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: There is no engine 'sglang-9'

hint: Engines: sglang-0.5.10.post1-cpu, sglang-0.5.10.post1-cu129, sglang-0.5.11-cpu, sglang-0.5.16-cpu, sglang-0.5.20-cpu, sglang-0.5.23-cpu
""",  # noqa: E501
        )
    )


def test_a_half_made_engine_is_called_so_and_is_not_verified(sgcx: Sgcx, home: Path) -> None:
    _half_made(home)
    assert "incomplete" in sgcx("engine").stdout
    assert sgcx("engine", "verify") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: sglang-0.5.10.post1-cpu cannot be verified: its installation was interrupted

hint: `sgcx engine repair sglang-0.5.10.post1-cpu` makes it anew
""",
        )
    )


def test_removal_needs_a_yes_and_there_is_no_terminal(sgcx: Sgcx, home: Path) -> None:
    engine = _half_made(home)
    assert sgcx("engine", "remove", CPU) == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: This needs a yes, and there is no terminal to ask on

hint: Add --yes
""",
        )
    )
    assert engine.exists()


def test_removal_says_what_became_free(sgcx: Sgcx, home: Path) -> None:
    engine = _half_made(home)
    said = sgcx("engine", "remove", CPU, "--yes")
    assert said == snapshot(
        Said(exit_code=0, stdout="", stderr="sglang-0.5.10.post1-cpu is removed, 0.0 GiB are free again\n")
    )
    assert not engine.exists()


def test_an_engine_that_a_server_uses_stays(sgcx: Sgcx, home: Path, live_server: ServerRecord) -> None:
    engine = _half_made(home)
    assert live_server.name == "one"
    assert sgcx("engine", "remove", CPU, "--yes") == snapshot(
        Said(
            exit_code=2,
            stdout="",
            stderr="""\
error: sglang-0.5.10.post1-cpu cannot be removed: the server 'one' is running on it

hint: Stop it first: sgcx down one
""",
        )
    )
    assert sgcx("engine", "repair", CPU).exit_code == 2
    assert engine.exists()


def _half_made(home: Path) -> Path:
    engine = home / "sgcx" / "data" / "engines" / CPU
    (engine / "venv").mkdir(parents=True)
    (engine / "venv" / "pyvenv.cfg").write_bytes(b"x" * (4 << 20))
    return engine
