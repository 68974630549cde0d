"""Who may ask what of the child's HTTP server, with SGLang's own check in the real engine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sgcx.environments.overlay import RUNNING_SGCX, engine_environment, write_overlay

pytestmark = pytest.mark.engine

_ASK = """
import importlib.util, json, sys, types

def without_its_imports(name, paths):
    # SGLang's check needs none of what its packages import, which takes many seconds.
    sys.modules[name] = module = types.ModuleType(name)
    module.__path__ = paths

[sglang] = importlib.util.find_spec("sglang").submodule_search_locations
without_its_imports("sglang", [sglang])
without_its_imports("sglang.srt", [sglang + "/srt"])
without_its_imports("sglang.srt.utils", [sglang + "/srt/utils"])

from fastapi import FastAPI
from sglang.srt.utils import auth
from starlette.testclient import TestClient
from sgcx.server.child import guard

key, host = json.loads(sys.argv[1])
arguments = types.SimpleNamespace(host="127.0.0.1", api_key=None, admin_api_key=None)
guard(arguments, key)
app = FastAPI()

@app.post("/generate")
def generate(): return "generated"

@app.post("/flush_cache")
@auth.auth_level(auth.AuthLevel.ADMIN_OPTIONAL)
def flush_cache(): return "flushed"

# As run_server does.
if arguments.api_key or arguments.admin_api_key:
    from sglang.srt.utils.auth import add_api_key_middleware
    add_api_key_middleware(app, api_key=arguments.api_key, admin_api_key=arguments.admin_api_key)
client = TestClient(app, base_url=f"http://{host}")
bearer = lambda value: {"Authorization": f"Bearer {value}"} if value else {}
status = lambda path, value: client.post(path, headers=bearer(value)).status_code
print(json.dumps({
    "generate": status("/generate", key),
    "generate with a wrong key": status("/generate", "wrong"),
    "flush": status("/flush_cache", key),
    "flush with what /server_info shows": status("/flush_cache", str(arguments.admin_api_key)),
    "shown": arguments.admin_api_key in repr(vars(arguments)),
}))
"""


@pytest.fixture
def ask(engine_python: Path, tmp_path: Path):
    environment = engine_environment("cpu", write_overlay(tmp_path, RUNNING_SGCX, "cpu"))

    def run(key: str | None, host: str = "127.0.0.1:30000") -> dict[str, object]:
        command = [str(engine_python), "-W", "ignore", "-c", _ASK, json.dumps([key, host])]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_with_a_key_it_opens_the_models_endpoints_and_none_of_the_engines_own(ask) -> None:
    assert ask("the-key") == {
        "generate": 200,
        "generate with a wrong key": 401,
        "flush": 401,
        "flush with what /server_info shows": 401,
        "shown": False,
    }


def test_without_a_key_the_engines_own_endpoints_are_closed_too(ask) -> None:
    said = ask(None)
    assert (said["generate"], said["flush"], said["flush with what /server_info shows"]) == (200, 401, 401)


def test_without_a_key_a_foreign_name_is_refused(ask) -> None:
    assert ask(None, "rebound.evil.example:30000")["generate"] == 403
