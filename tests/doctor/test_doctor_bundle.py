"""The support bundle: what is in it, and above all what is not."""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path
from urllib.parse import quote

import pytest

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.workflows.bundle import write_bundle
from sgcx.workflows.scrubbing import Scrubber

KEY = "sgcx-Zq7_planted/key+0001"
HUB_TOKEN = "hf_PlantedHubToken0002"
ENVIRONMENT_TOKEN = "planted-environment-token-0003"
UNKNOWN = {
    "bearer": "planted-unknown-bearer-0004",
    "url": "planted-url-password-0005",
    "json": "planted-json-secret-0006",
    "toml": "planted-toml-token-0007",
    "openai": "sk-planted-openai-0008",
    "argument": "planted-argument-key-0009",
    "cookie": "planted-cookie-0010",
}
"""Secrets of which nothing on this machine tells that they are some."""
PLANTED = (KEY, HUB_TOKEN, ENVIRONMENT_TOKEN, *UNKNOWN.values())
EVERYTHING = f"""\
known {KEY} {HUB_TOKEN} {ENVIRONMENT_TOKEN}
in a URL {quote(KEY, safe="")}, encoded {base64.b64encode(KEY.encode()).decode()}
Authorization: Bearer {UNKNOWN["bearer"]}
proxy http://user:{UNKNOWN["url"]}@proxy.example:3128
{{"client_secret": "{UNKNOWN["json"]}", "max_total_num_tokens": 4096}}
experimental_bearer_token = "{UNKNOWN["toml"]}"
OPENAI_API_KEY={UNKNOWN["openai"]}
sglang --api-key {UNKNOWN["argument"]} --port 30000
Set-Cookie: {UNKNOWN["cookie"]}
password: '{UNKNOWN["json"]}'
max_total_num_tokens=4096, #token: 17, token usage: 0.25
"""
"""Every form of every secret, for every kind of file."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Paths, dict[str, str]]:
    """A machine whose every file that may be gathered, and some that may not, has every secret in it."""
    home = tmp_path / "home-of-somebody"
    monkeypatch.setenv("HOME", str(home))
    paths = Paths(data=home / "data", state=home / "state", config=home / "config")
    server, engine, codex = paths.servers / "one", paths.engines / "sglang-cpu", home / "codex"
    files = {
        paths.api_key: KEY,
        home / "hub" / "token": HUB_TOKEN,
        server / "record.json": json.dumps({"text": EVERYTHING, "client_secret": UNKNOWN["json"]}),
        server / "child.json": json.dumps({"argv": ["--api-key", UNKNOWN["argument"]], "text": EVERYTHING}),
        server / "child.pid": EVERYTHING,
        server / "plan.json": EVERYTHING,
        server / "server.log": EVERYTHING,
        server / "server.log.1": EVERYTHING,
        engine / "engine.json": EVERYTHING,
        engine / "pip.log": EVERYTHING,
        codex / "sgcx.config.toml": EVERYTHING,
        codex / "sgcx-models.json": EVERYTHING,
        codex / "config.toml": EVERYTHING,
        codex / "auth.json": EVERYTHING,
        paths.user_profiles / "mine.toml": EVERYTHING,
        paths.responses: EVERYTHING,
        paths.state / "sealing.key": EVERYTHING,
        server / "core.1234": EVERYTHING,
    }
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    environ = {
        "CODEX_HOME": str(codex),
        "HF_HOME": str(home / "hub"),
        "HF_TOKEN": ENVIRONMENT_TOKEN,
        "SGCX_API_KEY": KEY,
        "HTTPS_PROXY": f"http://user:{UNKNOWN['url']}@proxy.example:3128",
        "SGLANG_SOMETHING": f"--api-key {UNKNOWN['argument']}",
        "PATH": "",
    }
    return paths, environ


def bundle(machine: tuple[Paths, dict[str, str]], tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "bundle.tar.gz"
    written = write_bundle(path, {"checks": [{"found": EVERYTHING}]}, *machine)
    assert written.left_out == ()
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        members = {each.name.removeprefix("sgcx-support/"): archive.extractfile(each) for each in archive.getmembers()}
        contents = {name: stream.read().decode() for name, stream in members.items() if stream is not None}
    assert tuple(contents) == written.members
    return contents


def test_no_planted_secret_is_in_any_file(machine: tuple[Paths, dict[str, str]], tmp_path: Path) -> None:
    contents = bundle(machine, tmp_path)

    for name, content in contents.items():
        for secret in PLANTED:
            for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")):
                assert form not in content, f"{secret} is in {name}"
                assert form not in name


def test_what_helps_is_still_there(machine: tuple[Paths, dict[str, str]], tmp_path: Path) -> None:
    contents = bundle(machine, tmp_path)

    assert set(contents) == {
        "README.txt",
        "doctor.json",
        "versions.json",
        "hardware.json",
        "plans.json",
        "environment.json",
        "servers/one/record.json",
        "servers/one/child.json",
        "servers/one/child.pid",
        "servers/one/plan.json",
        "servers/one/server.log",
        "servers/one/server.log.1",
        "engines/sglang-cpu/engine.json",
        "engines/sglang-cpu/pip.log",
        "codex/sgcx.config.toml",
        "codex/sgcx-models.json",
        "profiles/mine.toml",
    }
    assert "max_total_num_tokens=4096, #token: 17, token usage: 0.25" in contents["servers/one/server.log"]
    assert "rehearsal" in json.loads(contents["plans.json"])
    assert "sgcx" in json.loads(contents["versions.json"])
    assert json.loads(contents["environment.json"])["HF_TOKEN"] == "***"
    assert json.loads(contents["servers/one/record.json"])["client_secret"] == "***"


def test_neither_the_home_folder_nor_the_machine_is_named(
    machine: tuple[Paths, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "cluster-node-17")
    (machine[0].servers / "one" / "server.log").write_text(f"on cluster-node-17 in {machine[0].data}\n")
    contents = bundle(machine, tmp_path)

    assert contents["servers/one/server.log"] == "on [host] in ~/data\n"
    assert not any("home-of-somebody" in content for content in contents.values())


def test_of_a_long_log_the_end_is_taken_from_a_whole_line(
    machine: tuple[Paths, dict[str, str]], tmp_path: Path
) -> None:
    log = machine[0].servers / "one" / "server.log"
    log.write_text("".join(f"line {number:07} {'x' * 800}\n" for number in range(6_000)))
    text = bundle(machine, tmp_path)["servers/one/server.log"]

    assert len(text) <= 4 << 20
    assert text.startswith("line ")
    assert text.endswith(f"line 0005999 {'x' * 800}\n")


def test_what_cannot_be_gathered_is_said_and_the_rest_is_written(
    machine: tuple[Paths, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise RuntimeError(f"broken with {KEY}")

    monkeypatch.setattr("sgcx.workflows.bundle.detect_hardware", fail)
    written = write_bundle(tmp_path / "bundle.tar.gz", {}, *machine)

    assert written.left_out == (
        "hardware.json: RuntimeError: broken with ***",
        "plans.json: RuntimeError: broken with ***",
    )
    assert "servers/one/server.log" in written.members


def test_a_file_that_is_there_is_not_overwritten(machine: tuple[Paths, dict[str, str]], tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    path.write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        write_bundle(path, {}, *machine)
    with pytest.raises(UserError, match="cannot be written"):
        write_bundle(tmp_path / "absent" / "bundle.tar.gz", {}, *machine)
    assert path.read_text() == "mine"


def test_short_words_and_the_root_folder_are_not_taken_for_secrets() -> None:
    scrubber = Scrubber(["a", "", "none"], home=Path("/"), hostname="box")
    assert scrubber.scrub("a none / box") == "a none / box"
