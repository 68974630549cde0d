"""`sgcx doctor`: it finds what is wrong, says what mends it, and never falls over."""

from __future__ import annotations

import re
import tarfile
from dataclasses import replace
from pathlib import Path

from cli_runner import Said, Sgcx
from inline_snapshot import snapshot

from sgcx.profiles import built_in_directory
from sgcx.server.locks import hold_supervisor_lock
from sgcx.server.process_identity import ProcessIdentity
from sgcx.server.records import ServerRecord, ServerState, save_record

Finding = dict[str, object]
OWN = ("Engine", "Servers", "Codex probe", "Codex")
"""The groups that depend on what sgcx finds of its own, not on the machine."""


def test_an_empty_machine_has_nothing_that_failed(sgcx: Sgcx) -> None:
    said = sgcx("doctor")
    assert (said.exit_code, said.stderr) == (0, "")
    assert re.findall(r"^\S.*", said.stdout, re.MULTILINE)[:-1] == [
        "Python",
        "System",
        "GPU",
        "GPU health",
        "Links",
        "Resources",
        "Models",
        "Engine",
        "Servers",
        "Codex probe",
        "Codex",
    ]
    assert re.fullmatch(r"\d+ ok · \d+ warnings? · 0 failed · \d+ skipped", said.stdout.splitlines()[-1])


def test_no_gpu_is_a_warning_that_says_what_works_without(sgcx: Sgcx) -> None:
    assert _find(sgcx("doctor", "--json"), "driver") == snapshot(
        {
            "group": "GPU",
            "title": "driver",
            "status": "warn",
            "found": "no NVIDIA driver: libnvidia-ml.so.1 was not found",
            "why": "Without a GPU the rehearsal works (`sgcx up rehearsal`), and plans for other machines",
            "mend": "For a real model: a machine with NVIDIA GPUs",
            "fix": None,
        }
    )


def test_the_json_has_every_check_in_one_shape(sgcx: Sgcx) -> None:
    report = sgcx("doctor", "--json").json
    assert isinstance(report, dict)
    assert list(report) == ["failed", "counts", "checks"]
    assert {tuple(check) for check in report["checks"]} == {("group", "title", "status", "found", "why", "mend", "fix")}
    assert sum(report["counts"].values()) == len(report["checks"])
    assert {check["title"]: check["status"] for check in report["checks"] if check["group"] in OWN} == snapshot(
        {
            "sglang-0.5.10.post1-cpu": "skip",
            "sglang-0.5.10.post1-cu129": "skip",
            "patches": "skip",
            "API key": "skip",
            "records": "skip",
            "answers": "skip",
            "installed": "warn",
            "config": "skip",
            "proxy": "ok",
        }
    )


def test_the_summary_leaves_reasons_out(sgcx: Sgcx) -> None:
    assert "mend:" in sgcx("doctor").stdout
    assert "mend:" not in sgcx("doctor", "--summary").stdout


def test_a_key_that_others_can_read_fails(sgcx: Sgcx, home: Path) -> None:
    key = home / "sgcx" / "config" / "api-key"
    key.parent.mkdir(parents=True)
    key.write_text("secret\n")
    key.chmod(0o644)
    said = sgcx("doctor", "--json")
    assert said.exit_code == 1
    assert _find(said, "API key") == snapshot(
        {
            "group": "Servers",
            "title": "API key",
            "status": "fail",
            "found": "The API key file [HOME]/sgcx/config/api-key can be read by others (mode 644)",
            "why": None,
            "mend": "If nobody else has seen it: chmod 600 [HOME]/sgcx/config/api-key; otherwise delete it and run `sgcx up` for a new key",  # noqa: E501
            "fix": "close [HOME]/sgcx/config/api-key to others",
        }
    )
    assert "secret" not in said.stdout


def test_an_old_codex_fails(sgcx: Sgcx, home: Path) -> None:
    _fake_codex(home, "echo codex-cli 0.130.0")
    said = sgcx("doctor", "--json")
    assert said.exit_code == 1
    assert _find(said, "installed") == snapshot(
        {
            "group": "Codex",
            "title": "installed",
            "status": "fail",
            "found": "0.130.0 at [HOME]/bin/codex",
            "why": "Profile files need 0.134.0 or later",
            "mend": "npm install -g @openai/codex@latest",
            "fix": None,
        }
    )


def test_a_codex_that_does_not_run_fails(sgcx: Sgcx, home: Path) -> None:
    _fake_codex(home, "echo no node >&2; exit 127")
    assert _find(sgcx("doctor", "--json"), "installed") == snapshot(
        {
            "group": "Codex",
            "title": "installed",
            "status": "fail",
            "found": "`[HOME]/bin/codex --version` does not name a version: no node",
            "why": None,
            "mend": "Install it with `npm install -g @openai/codex`",
            "fix": None,
        }
    )


def test_a_proxy_without_an_exception_for_this_machine_is_a_warning(sgcx: Sgcx) -> None:
    assert _find(sgcx("doctor", "--json", HTTPS_PROXY="http://proxy:3128"), "proxy") == snapshot(
        {
            "group": "Codex",
            "title": "proxy",
            "status": "warn",
            "found": "a proxy is set, and NO_PROXY leaves out this machine",
            "why": "Codex would send requests for 127.0.0.1 to the proxy; `sgcx codex` sets NO_PROXY itself",
            "mend": "For `codex -p sgcx`: export NO_PROXY=127.0.0.1,localhost,::1",
            "fix": None,
        }
    )
    through = sgcx("doctor", "--json", HTTPS_PROXY="http://proxy:3128", NO_PROXY="*", no_proxy="*")
    assert _find(through, "proxy")["status"] == "ok"


def test_a_half_made_engine_is_a_warning(sgcx: Sgcx, home: Path) -> None:
    (home / "sgcx" / "data" / "engines" / "sglang-0.5.10.post1-cpu" / "venv").mkdir(parents=True)
    assert _find(sgcx("doctor", "--json"), "sglang-0.5.10.post1-cpu") == snapshot(
        {
            "group": "Engine",
            "title": "sglang-0.5.10.post1-cpu",
            "status": "warn",
            "found": "its installation was interrupted",
            "why": None,
            "mend": "If nothing is installing it: `sgcx up` or `sgcx engine install` completes it",
            "fix": None,
        }
    )


def test_a_record_of_a_process_that_is_gone_is_stale(sgcx: Sgcx, home: Path, live_server: ServerRecord) -> None:
    servers = home / "sgcx" / "state" / "servers"
    save_record(servers, replace(live_server, name="two", boot_id="another boot"))
    save_record(servers, replace(live_server, name="three", boot_id="another boot", state=ServerState.STOPPED))
    said = sgcx("doctor", "--json")
    stale = _find(said, "two")
    assert (stale["status"], stale["mend"]) == snapshot(
        ("warn", "`sgcx logs two` shows why; `sgcx up rehearsal` starts it again")
    )
    assert "the record says RUNNING, but the process" in str(stale["found"])
    assert _find(said, "three")["found"] == "stopped"


def test_a_server_that_waits_for_its_restart_is_left_to_its_supervisor(
    sgcx: Sgcx, home: Path, live_server: ServerRecord
) -> None:
    servers = home / "sgcx" / "state" / "servers"
    record = replace(
        live_server,
        name="two",
        boot_id="another boot",
        log_path=str(servers / "two" / "server.log"),
        state=ServerState.BACKOFF,
        exit_reason="the disk is full",
    )
    save_record(servers, record)
    with hold_supervisor_lock(servers / "two"):
        waiting = _find(sgcx("doctor", "--json"), "two")
    assert (waiting["status"], waiting["found"], waiting["fix"]) == snapshot(
        ("warn", "ended, and is started again: the disk is full", None)
    )
    left = _find(sgcx("doctor", "--json"), "two")
    assert str(left["found"]).startswith("the record says BACKOFF, but the process")
    assert left["fix"] == "correct the record of two"


def test_a_profile_that_cannot_be_used_fails(sgcx: Sgcx, home: Path) -> None:
    profiles = home / "sgcx" / "config" / "profiles"
    profiles.mkdir(parents=True)
    kimi = (built_in_directory() / "kimi-k2.6.toml").read_text(encoding="utf-8")
    hybrid = kimi.replace(
        "trust_remote_code = true\n", 'trust_remote_code = true\noptions = {kt_method = "RAWINT4"}\n', 1
    )
    (profiles / "hybrid.toml").write_text(hybrid.replace('name = "kimi-k2.6"', 'name = "hybrid"', 1))
    said = sgcx("doctor", "--json")
    assert said.exit_code == 1
    assert _find(said, "profile hybrid") == snapshot(
        {
            "group": "Models",
            "title": "profile hybrid",
            "status": "fail",
            "found": "[HOME]/sgcx/config/profiles/hybrid.toml: `variants[0].options.kt_method` would keep weights off the GPUs, which no plan counts",  # noqa: E501
            "why": "SGLang with KTransformers or offloading is started by hand; `sgcx gateway --upstream URL` makes it an endpoint for Codex",  # noqa: E501
            "mend": "Edit [HOME]/sgcx/config/profiles/hybrid.toml, then: sgcx profiles validate hybrid",
            "fix": None,
        }
    )


def test_a_damaged_record_is_a_warning(sgcx: Sgcx, home: Path) -> None:
    record = home / "sgcx" / "state" / "servers" / "one" / "record.json"
    record.parent.mkdir(parents=True)
    record.write_text("{")
    assert _find(sgcx("doctor", "--json"), "one") == snapshot(
        {
            "group": "Servers",
            "title": "one",
            "status": "warn",
            "found": "[HOME]/sgcx/state/servers/one/record.json is damaged and is ignored: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",  # noqa: E501
            "why": None,
            "mend": "`sgcx up` with --name one writes a new one",
            "fix": "delete the damaged record of one (not its logs)",
        }
    )


def test_what_is_safe_is_mended_and_nothing_else(sgcx: Sgcx, home: Path, live_server: ServerRecord) -> None:
    servers = home / "sgcx" / "state" / "servers"
    save_record(servers, replace(live_server, name="stale", boot_id="another boot"))
    damaged = servers / "damaged" / "record.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    (damaged.parent / "server.log").write_text("kept\n")
    key = home / "sgcx" / "config" / "api-key"
    key.parent.mkdir(parents=True)
    key.write_text("secret\n")
    key.chmod(0o644)

    said = sgcx("doctor", "--fix", "--yes", "--json")

    assert key.stat().st_mode & 0o777 == 0o600
    assert not damaged.exists()
    assert (damaged.parent / "server.log").read_text() == "kept\n"
    assert _find(said, "API key")["status"] == "ok"
    assert str(_find(said, "stale")["found"]).startswith("ended: ")
    assert live_server.identity.is_alive(), "a server that lives is never touched"
    assert [line for line in said.stderr.splitlines() if line.startswith("fixed: ")] == snapshot(
        [
            "fixed: only its owner can read [HOME]/sgcx/config/api-key now",
            "fixed: the damaged record of damaged is gone; its logs are still there",
            "fixed: the record of stale says EXITED now",
        ]
    )


def test_a_machine_in_order_has_nothing_to_mend(sgcx: Sgcx) -> None:
    assert sgcx("doctor", "--fix").stderr == "There is nothing that doctor can mend by itself\n"


def test_nothing_is_mended_without_a_yes(sgcx: Sgcx, home: Path) -> None:
    key = home / "sgcx" / "config" / "api-key"
    key.parent.mkdir(parents=True)
    key.write_text("secret\n")
    key.chmod(0o644)
    said = sgcx("doctor", "--fix")
    assert (said.exit_code, key.stat().st_mode & 0o777) == (2, 0o644)
    assert "Add --yes" in said.stderr


def test_what_a_dead_server_left_behind_is_ended(sgcx: Sgcx, home: Path, leftover: ProcessIdentity) -> None:
    finding = _find(sgcx("doctor", "--json"), "gone")
    assert (finding["status"], finding["found"]) == (
        "fail",
        f"the server has ended, and left processes behind: {leftover.pid}",
    )
    said = sgcx("doctor", "--fix", "--yes")
    assert "fixed: gone is down" in said.stderr
    assert not leftover.is_alive()


def test_a_bundle_is_written_beside_the_report(sgcx: Sgcx, home: Path) -> None:
    said = sgcx("doctor", "--summary", "--bundle", "support.tar.gz")
    assert said.exit_code == 0
    assert re.search(r"^support.tar.gz: \d+ files, without secrets", said.stderr, re.MULTILINE)
    with tarfile.open(home / "support.tar.gz") as archive:
        assert "sgcx-support/doctor.json" in archive.getnames()
    again = sgcx("doctor", "--bundle", "support.tar.gz")
    assert (again.exit_code, again.stderr) == (2, "error: support.tar.gz is there already\n\nhint: Name another file\n")


def test_warnings_count_where_they_are_to(sgcx: Sgcx) -> None:
    assert sgcx("doctor", "--summary").exit_code == 0
    assert sgcx("doctor", "--summary", "--strict").exit_code == 1, "there is no Codex on this machine"


def test_a_server_that_lives_and_does_not_answer_fails(sgcx: Sgcx, live_server: ServerRecord) -> None:
    said = sgcx("doctor", "--json")
    assert said.exit_code == 1
    finding = _find(said, "one")
    assert finding["status"] == "fail"
    assert finding["found"] == f"pid {live_server.pid} lives, but {live_server.base_url} does not answer"


def test_looking_leaves_the_record_as_it_is(sgcx: Sgcx, home: Path, live_server: ServerRecord) -> None:
    record = live_server.server_dir / "record.json"
    before = record.read_bytes()
    sgcx("doctor")
    assert record.read_bytes() == before


def test_a_check_that_crashes_is_a_finding_that_names_itself(sgcx: Sgcx, home: Path) -> None:
    (home / "sgcx" / "data").mkdir(parents=True)
    (home / "sgcx" / "data" / "engines").write_text("a file where a folder belongs")
    said = sgcx("doctor", "--json")
    assert said.exit_code == 1
    assert said.stderr == ""
    assert _find(said, "engines")["found"] == snapshot(
        "the check 'engines' of 'Engine' itself failed: NotADirectoryError: [Errno 20] Not a directory: '[HOME]/sgcx/data/engines/.sglang-0.5.10.post1-cpu.lock'"  # noqa: E501
    )


def _fake_codex(home: Path, script: str) -> None:
    codex = home / "bin" / "codex"
    codex.write_text(f"#!/bin/sh\n{script}\n")
    codex.chmod(0o755)


def _find(said: Said, title: str) -> Finding:
    report = said.json
    assert isinstance(report, dict)
    (finding,) = (check for check in report["checks"] if check["title"] == title)
    assert isinstance(finding, dict)
    return finding
