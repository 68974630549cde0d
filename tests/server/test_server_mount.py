"""What the endpoint looks for in the real SGLang before it is mounted, and how SGLang's plugins mount it."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest
from gpu.serving import child_config

from sgcx.environments.overlay import RUNNING_SGCX, engine_environment, write_overlay
from sgcx.server.child_config import CONFIG_VARIABLE

pytestmark = pytest.mark.engine

_ASK = '''
import contextlib, json, multiprocessing, os, sys, torch
from importlib.metadata import entry_points
from sglang.srt.constrained.xgrammar_backend import XGrammarGrammar
from sglang.srt.entrypoints import http_server
from sglang.srt.entrypoints.openai.protocol import ChatCompletionRequest
from sglang.srt.entrypoints.openai.serving_chat import OpenAIServingChat
from sglang.srt.managers.tokenizer_manager import TokenizerManager
from sgcx.server.child_config import CONFIG_VARIABLE
from sgcx.server.mount_surfaces import missing_surfaces, routes

@contextlib.contextmanager
def changed(owner, name, value):
    before = getattr(owner, name)
    delattr(owner, name) if value is None else setattr(owner, name, value)
    yield
    setattr(owner, name, before)

def without(owner, name, value=None):
    with changed(owner, name, value):
        return list(missing_surfaces())

def first_is_ours():
    [first, *_] = (route for route in routes() if getattr(route, "path", None) == "/v1/responses")
    return first.endpoint.__module__.startswith("sgcx.")

def mounted(plugin):
    plugin()
    return first_is_ours()

def allowed(plugin):
    """The tokens that stay possible where a mask allows the second and the fourth."""
    plugin()
    logits = torch.zeros(1, 32)
    try:
        XGrammarGrammar.apply_vocab_mask(None, logits, torch.tensor([[0b1010]], dtype=torch.int32))
    except RuntimeError as error:
        return str(error)
    return torch.isfinite(logits[0]).nonzero().flatten().tolist()

async def generate_request(self, request): yield

plugins = {each.name: each.load() for each in entry_points(group="sglang.srt.plugins")}
plugin, masks = plugins["sgcx"], plugins["sgcx-cpu-grammar"]
said = {
    "as published": list(missing_surfaces()),
    "without a method": without(OpenAIServingChat, "_handle_last_assistant_message"),
    "with another signature": without(TokenizerManager, "generate_request", generate_request),
    "without its attributes": without(TokenizerManager, "init_running_status", lambda self, _: None),
    "without the handler": without(http_server, "lifespan", lambda app: None),
    "without a field": without(ChatCompletionRequest, "model_fields", {"messages": None}),
    "with another server": without(http_server, "app", object()),
}
config = os.environ.pop(CONFIG_VARIABLE)
said["mounted unasked"] = mounted(plugin)
os.environ[CONFIG_VARIABLE] = config
multiprocessing.parent_process = lambda: "the server"
said["mounted in a worker"] = mounted(plugin)
multiprocessing.parent_process = lambda: None
with changed(TokenizerManager, "abort_request", None):
    said["mounted where something is missing"] = mounted(plugin)
said["mounted"] = mounted(plugin)
cpu_engine = os.environ.pop("SGLANG_USE_CPU_ENGINE")
said["masked on a GPU's engine"] = allowed(masks)
os.environ["SGLANG_USE_CPU_ENGINE"] = cpu_engine
with changed(XGrammarGrammar, "apply_vocab_mask", lambda *_: None):
    said["masked where SGLang does it"] = allowed(masks)
said["masked"] = allowed(masks)
print(json.dumps(said))
'''


@pytest.fixture(scope="module")
def said(engine_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("mount")
    (folder / "child.json").write_text(child_config([], context_length=1000).to_json())
    environment = engine_environment("cpu", write_overlay(folder, RUNNING_SGCX, "cpu"))
    environment[CONFIG_VARIABLE] = str(folder / "child.json")
    command = [str(engine_python), "-W", "ignore", "-c", _ASK]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_what_is_missing_is_named(said: dict[str, object]) -> None:
    assert said["as published"] == []
    assert said["without a method"] == ["OpenAIServingChat._handle_last_assistant_message that takes 3 arguments"]
    assert said["with another signature"] == ["TokenizerManager.generate_request that takes 3 arguments"]
    assert "TokenizerManager that sets rid_to_state" in said["without its attributes"]
    assert said["without the handler"] == ["entrypoints.http_server that sets openai_serving_chat"]
    assert "ChatCompletionRequest with a field rid" in said["without a field"]
    assert said["with another server"] == ["the route /v1/responses"]


def test_the_plugin_puts_our_routes_first_and_only_where_sgcx_serves(said: dict[str, object]) -> None:
    unasked = ("mounted unasked", "mounted in a worker", "mounted where something is missing")
    assert [said[each] for each in unasked] == [False, False, False]
    assert said["mounted"] is True


def test_a_grammar_leaves_the_allowed_tokens_on_a_cpu_where_sglang_has_no_branch_for_it(
    said: dict[str, object],
) -> None:
    assert said["masked on a GPU's engine"] == "Unsupported device: cpu"
    every_token = list(range(32))
    assert said["masked where SGLang does it"] == every_token
    assert said["masked"] == [1, 3]


def test_an_installed_sgcx_has_the_same_plugin_as_the_overlay() -> None:
    project = tomllib.loads((RUNNING_SGCX.parent / "pyproject.toml").read_text())
    [(group, plugins)] = project["project"]["entry-points"].items()
    entries = "".join(f"{name} = {value}\n" for name, value in plugins.items())
    overlay = RUNNING_SGCX / "server" / "plugin_metadata" / "entry_points.txt"
    assert overlay.read_text() == f"[{group}]\n{entries}"
