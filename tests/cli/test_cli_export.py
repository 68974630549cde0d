"""What `sgcx export` writes: units that systemd accepts, manifests that fit their schemas, and no secret anywhere."""

from __future__ import annotations

import os
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path

import kubernetes_validate
import pytest
import typer.main
import yaml

from sgcx.cli.app import app
from sgcx.workflows.export_systemd import quote

MACHINES = Path(__file__).parents[1] / "machines"
KEY = "sgcx-this-is-the-secret"
KIMI = ("kimi-k2.6", "--hardware", str(MACHINES / "8xH200.json"))
R1 = ("deepseek-r1", "--hardware", str(MACHINES / "8xH200.json"))
TWO_NODES = (
    *("kimi-k2.6", "--hardware", str(MACHINES / "8xH100.json")),
    *("--nodes", "2", "--dist-init-addr", "10.0.0.1:20000"),
)


@pytest.fixture
def exported(sgcx, home):
    """File name → text."""
    key = home / "sgcx" / "config" / "api-key"
    key.parent.mkdir(parents=True)
    key.write_text(KEY)
    key.chmod(0o600)

    def run(*arguments):
        said = sgcx("export", *arguments, "-o", str(home / "out"))
        assert said.exit_code == 0, said.stderr
        files = {path.name: path.read_text() for path in (home / "out").iterdir()}
        assert not any(KEY in text for text in files.values())
        return files

    return run


def parsed(command, arguments):
    """Read by the program's own parser, which refuses what it does not know."""
    return typer.main.get_command(app).commands[command].make_context(command, list(arguments)).params


def exec_start(unit):
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    return shlex.split(line.removeprefix("ExecStart="))


def flags(argv):
    return dict(pairwise(argv))


@pytest.mark.parametrize("arguments", [("rehearsal",), KIMI, TWO_NODES], ids=lambda each: each[0])
def test_systemd_accepts_the_units(exported, home, arguments):
    exported("systemd", *arguments)
    units = sorted(map(str, (home / "out").glob("*.service")))
    # The programs that the nodes' units start are on the nodes only.
    for unit in units:
        text = Path(unit).read_text()
        Path(unit).write_text(text.replace(exec_start(text)[0], "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        env={**os.environ, "XDG_RUNTIME_DIR": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    complaints = [line for line in done.stderr.splitlines() if str(home / "out") in line or "sgcx-" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


def test_the_unit_starts_the_plan_that_was_made(exported):
    (unit,) = exported("systemd", *KIMI, "--prefer", "latency", "--port", "31234").values()
    _, *module, command, profile = exec_start(unit)[:5]
    assert (module, command, profile) == (["-m", "sgcx"], "up", "kimi-k2.6")
    params = parsed("up", exec_start(unit)[4:])
    assert (params["foreground"], params["yes"], params["port"]) == (True, True, 31234)
    assert (params["variant"], params["gpus"], params["prefer"]) == ("int4", "0,1,2,3,4,5,6,7", "latency")
    assert params["context"] == 262144


@pytest.mark.parametrize(
    ("text", "in_command", "quoted"),
    [
        ("plain", True, '"plain"'),
        ("100%", False, '"100%%"'),
        ("$HOME", True, '"$$HOME"'),
        ("$HOME", False, '"$HOME"'),
        ('say "so" \\', True, '"say \\"so\\" \\\\"'),
    ],
)
def test_systemd_reads_texts_as_they_were(text, in_command, quoted):
    assert quote(text, in_command=in_command) == quoted


def test_several_machines_have_a_unit_each_and_a_gateway(exported):
    units = exported("systemd", *TWO_NODES)
    assert sorted(units) == [f"sgcx-kimi-k2.6-{which}.service" for which in ("gateway", "node0", "node1")]
    for rank in (0, 1):
        options = flags(exec_start(units[f"sgcx-kimi-k2.6-node{rank}.service"]))
        assert (options["--node-rank"], options["--nnodes"]) == (str(rank), "2")
        assert options["--dist-init-addr"] == "10.0.0.1:20000"
    parsed("gateway", exec_start(units["sgcx-kimi-k2.6-gateway.service"])[4:])


@pytest.mark.parametrize("arguments", [KIMI, R1], ids=lambda each: each[0])
def test_compose_runs_the_planned_command_and_the_gateway_reaches_it(exported, sgcx, arguments):
    files = exported("compose", *arguments)
    document = yaml.safe_load(files["compose.yaml"])
    engine, gateway = document["services"]["engine"], document["services"]["gateway"]
    planned = sgcx("up", *arguments, "--dry-run", "--json").json["argv"]
    planned.remove("--sleep-on-idle")  # SGLang as published would sleep over grammars, too
    differing = [(a, b) for a, b in zip(engine["command"][3:], planned, strict=True) if a != b]
    assert [a for a, _ in differing] == (["/etc/sgcx/chat-template.jinja"] if arguments is R1 else [])
    assert parsed("gateway", gateway["command"][1:])["upstream"] == "http://127.0.0.1:30000/v1"
    assert gateway["network_mode"] == "service:engine"
    assert document["secrets"]["api-key"]["file"].endswith("config/api-key}")
    devices = engine["deploy"]["resources"]["reservations"]["devices"]
    assert devices[0]["device_ids"] == [str(index) for index in range(8)]
    assert ("chat-template.jinja" in files) is (arguments is R1)


@pytest.mark.parametrize("arguments", [KIMI, (*R1, "--replicas", "3"), TWO_NODES], ids=["one", "replicas", "nodes"])
def test_manifests_fit_their_schemas(exported, arguments):
    (text,) = [text for name, text in exported("k8s", *arguments).items() if name.endswith(".yaml")]
    for manifest in yaml.safe_load_all(text):
        if manifest["kind"] != "LeaderWorkerSet":  # no part of Kubernetes itself
            kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def manifests(files):
    (text,) = [text for name, text in files.items() if name.endswith(".yaml")]
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(text)}


def test_selectors_volumes_and_ports_in_the_manifests_lead_somewhere(exported):
    found = manifests(exported("k8s", *R1, "--replicas", "2"))
    pods = [
        found["StatefulSet", "sgcx-deepseek-r1"]["spec"]["template"],
        found["Deployment", "sgcx-deepseek-r1-gateway"]["spec"]["template"],
    ]
    for pod in pods:
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        mounts = {mount["name"] for each in pod["spec"]["containers"] for mount in each.get("volumeMounts", [])}
        assert mounts == volumes
    labels = [set(pod["metadata"]["labels"].items()) for pod in pods]
    for (kind, _), manifest in found.items():
        if kind == "Service":
            assert sum(set(manifest["spec"]["selector"].items()) <= each for each in labels) == 1
    gateway, router = pods[1]["spec"]["containers"]
    assert parsed("gateway", gateway["args"][1:])["upstream"] == "http://127.0.0.1:31000/v1"
    assert router["command"][-2:] == [f"http://sgcx-deepseek-r1-{n}.sgcx-deepseek-r1:30000" for n in (0, 1)]


def test_several_machines_are_a_leader_worker_set(exported):
    found = manifests(exported("k8s", *TWO_NODES))
    group = found["LeaderWorkerSet", "sgcx-kimi-k2-6"]["spec"]["leaderWorkerTemplate"]
    assert group["size"] == 2
    for which in ("leaderTemplate", "workerTemplate"):
        options = flags(group[which]["spec"]["containers"][0]["command"])
        assert options["--node-rank"] == "$(LWS_WORKER_INDEX)"
        assert options["--dist-init-addr"] == "$(LWS_LEADER_ADDRESS):20000"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compose", "rehearsal"), "sgcx's own engine only"),
        (("compose", *KIMI, "--replicas", "2"), "--replicas is for k8s"),
        (("compose", *TWO_NODES), "Compose runs on one machine"),
        (("k8s", *TWO_NODES, "--replicas", "2"), "plans of one machine each"),
        (("nomad", *KIMI), "'nomad' is no format"),
    ],
)
def test_what_has_no_form_is_refused_with_its_reason(sgcx, arguments, message):
    said = sgcx("export", *arguments)
    assert said.exit_code == 2
    assert message in said.stderr.replace("\n", " ")
