"""The real Codex accepts what we write, and sends what we expect to a server on this machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sgcx.codex.catalog import CatalogModel, build_catalog
from sgcx.codex.config import CodexSettings
from sgcx.codex.installation import catalog_path, plan_changes, profile_path, write
from sgcx.codex.runner import build_command, build_environment, require_codex
from sgcx.codex.undo import undo

pytestmark = pytest.mark.codex

PAGES = Path(__file__).parents[2]

KIMI = CatalogModel(
    slug="kimi-k2.6",
    display_name="Kimi K2.6",
    description="On SGLang",
    context_window=262_144,
    efforts=(("none", "Instant"), ("high", "Thinking")),
    default_effort="high",
)
PLAIN = CatalogModel(slug="plain", display_name="Plain", description="No efforts", context_window=32_768)
MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello from the test"}]}
ANSWER = (
    {"type": "response.output_item.done", "item": MESSAGE},
    {
        "type": "response.completed",
        "response": {"id": "resp_1", "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}},
    },
)


class Server(ThreadingHTTPServer):
    """Gives every request the same answer and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str | None, dict[str, object]]] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers["Authorization"], body))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in ANSWER:
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def environment(tmp_path: Path, codex_binary: Path) -> dict[str, str]:
    home = tmp_path / "codex-home"
    path = f"{codex_binary.parent}{os.pathsep}{os.environ['PATH']}"
    return build_environment({**os.environ, "PATH": path, "CODEX_HOME": str(home), "HOME": str(tmp_path)})


def install(environment: dict[str, str], base_url: str, *, token: str | None = "sk-test") -> Path:
    home = Path(environment["CODEX_HOME"])
    settings = CodexSettings(base_url=base_url, model="kimi-k2.6", catalog_path=catalog_path(home), bearer_token=token)
    write(plan_changes(home, settings, build_catalog([KIMI, PLAIN])), home.parent / "state")
    return home


def run_codex(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = build_command(require_codex(environment), arguments)
    folder = Path(environment["HOME"]) / "project"
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def exec_hello(environment: dict[str, str], *options: str) -> list[dict[str, object]]:
    done = run_codex(environment, "exec", "--json", "--strict-config", "--skip-git-repo-check", *options, "hello")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_codex_takes_the_config_in_strict_mode_and_answers(server: Server, environment: dict[str, str]) -> None:
    install(environment, server.base_url)
    events = exec_hello(environment)
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    # Exactly one item: a warning about model metadata would be another.
    assert [(item["type"], item["text"]) for item in items] == [("agent_message", "Hello from the test")]
    ((path, authorization, body),) = server.requests
    assert (path, authorization) == ("/v1/responses", "Bearer sk-test")
    assert (body["model"], body["reasoning"]) == ("kimi-k2.6", {"effort": "high"})


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md", "docs/codex.md"])
def test_the_command_that_a_page_shows_lets_codex_write(server: Server, environment: dict[str, str], page: str) -> None:
    install(environment, server.base_url)
    shown = re.search(r'sgcx codex (exec [^`"\n]*"[^"]+")', (PAGES / page).read_text(encoding="utf-8"))
    assert shown
    arguments = dict.fromkeys([*shlex.split(shown[1]), "--skip-git-repo-check"])  # Codex takes it once only.
    done = run_codex(environment, *arguments)
    assert (done.returncode, "sandbox: workspace-write" in done.stderr) == (0, True), done.stderr


def test_codex_offers_only_tools_that_an_open_model_can_be_shown(server: Server, environment: dict[str, str]) -> None:
    install(environment, server.base_url)
    exec_hello(environment)
    tools = {tool["name"]: tool["type"] for tool in server.requests[0][2]["tools"]}
    assert tools == {
        "exec_command": "function",
        "write_stdin": "function",
        "update_plan": "function",
        "request_user_input": "function",
        "view_image": "function",
        "apply_patch": "custom",
    }


def test_another_model_of_the_catalog_can_be_asked_for(server: Server, environment: dict[str, str]) -> None:
    install(environment, server.base_url)
    exec_hello(environment, "-m", "plain")
    body = server.requests[0][2]
    assert (body["model"], body["reasoning"]) == ("plain", {})


def test_without_a_key_codex_sends_none(server: Server, environment: dict[str, str]) -> None:
    install(environment, server.base_url, token=None)
    exec_hello(environment)
    assert server.requests[0][1] is None


def test_codex_reads_the_catalog_as_we_mean_it(environment: dict[str, str]) -> None:
    home = install(environment, "http://127.0.0.1:1/v1")
    codex = require_codex(environment).path
    override = f"model_catalog_json={json.dumps(str(catalog_path(home)))}"
    listed = subprocess.run(
        [codex, "debug", "models", "-c", override],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    models = json.loads(listed.stdout)["models"]
    assert [(model["slug"], model["context_window"]) for model in models] == [
        ("kimi-k2.6", 262_144),
        ("plain", 32_768),
    ]


def test_a_session_leaves_the_config_undoable(server: Server, environment: dict[str, str]) -> None:
    home = install(environment, server.base_url)
    exec_hello(environment)
    assert {file.outcome for file in undo(home, home.parent / "state")} == {"removed"}
    assert not profile_path(home).exists()
    assert not catalog_path(home).exists()
