"""What is left for the next server."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from recorded_machines import machine_file

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.plan import LaunchPlan, Wishes
from sgcx.server.records import ServerRecord, ServerState, save_record
from sgcx.workflows import planning
from sgcx.workflows.neighbours import Neighbours
from sgcx.workflows.planning import compare_variants, read_hardware


def server(name: str, port: int, gpus: tuple[int, ...]) -> ServerRecord:
    return ServerRecord(
        name=name,
        profile=name,
        served_model_name=name,
        state=ServerState.RUNNING,
        pid=1,
        pid_create_time=0.0,
        host="127.0.0.1",
        port=port,
        base_url="",
        engine="",
        sglang_version="",
        started_at=0.0,
        log_path="",
        gpu_indices=gpus,
    )


def test_the_gpus_of_others_are_not_planned_with() -> None:
    machine = read_hardware(machine_file("8xH200"))
    left = Neighbours((server("a", 30000, (0, 1)), server("b", 30001, (7,)))).left_by(machine)
    assert [gpu.index for gpu in left.gpus] == [2, 3, 4, 5, 6]
    assert json.dumps(left.to_json())


def test_a_machine_whose_gpus_all_serve_is_refused_with_the_servers_names() -> None:
    machine = read_hardware(machine_file("1xRTX_4090"))
    with pytest.raises(UserError, match="Every GPU serves already: a"):
        Neighbours((server("a", 30000, (0,)),)).left_by(machine)


def test_variants_are_compared_on_what_others_leave_unless_gpus_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(data=tmp_path, state=tmp_path, config=tmp_path)
    waiting = replace(server("a", 30000, (0, 1, 2, 3)), state=ServerState.BACKOFF)
    save_record(paths.servers, waiting)
    monkeypatch.setattr(planning, "detect_hardware", lambda _: read_hardware(machine_file("8xH200")))

    def first_gpus(wishes: Wishes) -> list[int]:
        compared = compare_variants("r1-distill-llama-70b", wishes, paths=paths)
        return [each.outcome.gpu_indices[0] for each in compared if isinstance(each.outcome, LaunchPlan)]

    assert set(first_gpus(Wishes())) == {4}
    assert set(first_gpus(Wishes(gpus=(0, 1)))) == {0}


def test_ports_of_others_are_passed_over() -> None:
    assert Neighbours(()).free_port_from(30000) == 30000
    assert Neighbours((server("a", 30000, ()), server("b", 30001, ()))).free_port_from(30000) == 30002
