"""`sgcx up` of a model of the hub: fetched first, never twice, not needed from the network again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from recorded_machines import machine_file
from weights_hub import SHARDS, Hub, safetensors, serve_hub

MODEL = "r1-distill-qwen-7b"
REPOSITORY = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"
ON_A_MACHINE = """
from sgcx.workflows import planning
planning.detect_hardware = lambda _: planning.read_hardware(Path({machine!r}))
"""


@pytest.fixture
def hub(box) -> Iterator[Hub]:
    files = {name: safetensors(number, 300_000) for number, name in enumerate(SHARDS)}
    index = {"weight_map": {f"t{number}": name for number, name in enumerate(SHARDS)}}
    files |= {"config.json": b"{}", "model.safetensors.index.json": json.dumps(index).encode()}
    with serve_hub(files) as served:
        box.environment.update({"HF_ENDPOINT": served.url, "HF_HUB_DISABLE_XET": "1"})
        yield served


def on(machine: str) -> str:
    return ON_A_MACHINE.format(machine=str(machine_file(machine)))


def test_up_fetches_first_serves_the_folder_and_needs_no_network_again(box, hub: Hub) -> None:
    code, said = box.sgcx("up", MODEL, "--port", "0", "--yes", change=on("2xRTX_4090"))
    assert code == 0, said
    assert said.index(f"Downloading {REPOSITORY}") < said.index("Starting the engine")
    arguments = json.loads((box.servers / MODEL / "child.json").read_text())["sglang_argv"]
    folder = arguments[arguments.index("--model-path") + 1]
    assert folder.startswith(str(box.home / "hub"))

    code, said = box.sgcx("rm", REPOSITORY, "--yes")
    assert (code, f"sgcx down {MODEL}" in said) == (2, True)

    asked = len(hub.requests)
    code, said = box.sgcx("restart")
    assert code == 0, said
    assert len(hub.requests) == asked

    code, said = box.sgcx("up", MODEL, "--yes", change=on("2xRTX_4090"))
    assert (code, "is running already" in said) == (0, True), "though its GPUs are taken: by itself"

    box.sgcx("down", MODEL)
    assert box.sgcx("rm", REPOSITORY, "--yes")[0] == 0


def test_a_second_server_takes_the_gpus_and_the_port_that_the_first_left(box, hub: Hub) -> None:
    first_code, said = box.sgcx("up", MODEL, "--yes", "--json", "--port", "0", "--gpus", "1", change=on("2xRTX_4090"))
    assert first_code == 0, said
    code, said = box.sgcx("up", MODEL, "--yes", "--name", "second", "--port", "0", change=on("2xRTX_4090"))
    assert code == 0, said
    assert f"The server {MODEL!r} has GPU 1: this one is planned for the others" in said
    servers = {server["name"]: server["gpu_indices"] for server in box.status()}
    assert servers == {MODEL: [1], "second": [0]}
    code, said = box.sgcx("up", MODEL, "--yes", "--name", "third", "--port", "0", change=on("2xRTX_4090"))
    assert (code, "Every GPU serves already" in said) == (2, True)
