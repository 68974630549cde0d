"""The load that `sgcx bench` sends, what it makes of the answers, and the picture of it."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from chat_upstream import running
from gpu.serving import child_config
from recorded_machines import recorded_machine
from starlette.applications import Starlette

from sgcx.bench.chart import draw_chart
from sgcx.bench.codex_load import CodexLoad
from sgcx.bench.load import Load
from sgcx.bench.report import PrefixReuse, Report, Row
from sgcx.bench.wire import Timing
from sgcx.dialects.kimi_k2 import KimiK2
from sgcx.errors import LaunchFailed
from sgcx.http.endpoint import Endpoint
from sgcx.http.router import create_router
from sgcx.paths import Paths
from sgcx.planning.plan import Wishes
from sgcx.planning.planner import plan as make_plan
from sgcx.profiles import load_profile
from sgcx.responses.deltas import Finished, TextDelta, Usage
from sgcx.responses.prompt import Sampling, ServedModel
from sgcx.server.launch_progress import LaunchFacts
from sgcx.server.records import ServerRecord, ServerState, save_record
from sgcx.workflows.bench import BenchOptions, bench
from sgcx.workflows.calibration import learn, load_calibrations

MODEL = ServedModel("m", 1000, False, False, Sampling(1.0, 0.95), Sampling(0.6, 0.95))
LOAD = CodexLoad("m", prefix_tokens=200, turn_tokens=50, output_tokens=5, turns=3)
ROW = Row(4, 12, 0, None, 1000, 0.5, 60, 30.0, 0.2, 0.4, 0.01, 0.02, 90.0)


def decoded(bodies):
    return [json.loads(body) for body in bodies]


def test_all_sessions_begin_alike_and_each_turn_repeats_the_last():
    bodies = decoded(LOAD.sessions(2, salt="s"))
    assert len({body["instructions"] for body in bodies}) == 1
    first, _, second, _, third, _ = bodies
    assert second["input"][: len(first["input"])] == first["input"]
    assert third["input"][: len(second["input"])] == second["input"]
    assert [item["type"] for item in third["input"]] == ["message", *["function_call", "function_call_output"] * 2]
    assert bodies[0]["input"] != bodies[1]["input"]


def test_another_salt_is_another_prompt_from_its_first_words():
    (one,), (other,) = (decoded(replace(LOAD, turns=1).sessions(1, salt=salt)) for salt in "ab")
    assert one["instructions"][:10] != other["instructions"][:10]


def test_a_row_counts_what_was_cached_and_what_failed():
    timings = (Timing(0.1, 1.0, (0.01, 0.03), 100, 40, 10), Timing(0.3, 1.0, (0.02,), 100, 60, 10))
    row = Row.of(Load(2, 2.0, timings, ("refused",)))
    assert (row.requests, row.failures, row.first_failure) == (3, 1, "refused")
    assert (row.cached_share, row.output_tokens_per_s) == (0.5, 10)
    assert row.decode_p50_tokens_per_s == pytest.approx(9 / 0.7), "nine tokens after the first one, of the slower half"


def test_reuse_compares_a_new_prompt_with_a_known_one():
    new, again = Timing(2.0, 3.0, (), 100, 0, 5), Timing(0.5, 1.0, (), 100, 99, 5)
    assert PrefixReuse.of((new,), (again,)).speedup == 4


@pytest.mark.parametrize("rows", [(), (ROW,), (ROW, replace(ROW, streams=8, output_tokens_per_s=50.0))])
def test_the_picture_is_svg_with_a_point_for_each_row(rows):
    report = Report("http://h", "a <model> & co", "now", 8000, 128, 3, None, rows)
    root = ElementTree.fromstring(draw_chart(report))
    assert len(root.findall("{*}circle")) == 3 * len(rows)
    assert any("a <model> & co" in (text.text or "") for text in root.findall("{*}text"))


class PlayedEngine:
    """Yields what it is given; an exception is raised."""

    def __init__(self, steps):
        self.steps = steps

    async def generate(self, request):
        for step in self.steps:
            if isinstance(step, Exception):
                raise step
            yield step


@pytest.fixture
def paths(tmp_path):
    return Paths(data=tmp_path / "data", state=tmp_path / "state", config=tmp_path / "config")


def endpoint(engine):
    return Starlette(routes=create_router(Endpoint(lambda _: engine, KimiK2(), MODEL, ())).routes)


def options(port):
    return BenchOptions(url=f"http://127.0.0.1:{port}/v1", streams=(1, 2), prefix_tokens=50, turns=2)


def test_a_server_is_measured_over_http(paths):
    engine = PlayedEngine([TextDelta("Hel"), TextDelta("lo"), Finished("stop", Usage(30, 10, 5, 0))])
    with running(endpoint(engine)) as port:
        report = bench(options(port), paths)
    assert [(row.streams, row.requests, row.failures) for row in report.rows] == [(1, 2, 0), (2, 4, 0)]
    assert report.rows[1].output_tokens == 20
    assert report.rows[0].cached_share == pytest.approx(1 / 3)
    assert report.reuse is not None and report.reuse.input_tokens == 30


def test_a_server_that_answers_nothing_is_an_error_with_its_words(paths):
    with running(endpoint(PlayedEngine([RuntimeError("x")]))) as port, pytest.raises(LaunchFailed, match="500"):
        bench(options(port), paths)


def own_server(port, paths):
    """One of this machine's, started from a plan for eight H200s."""
    record = ServerRecord(
        name="one",
        profile="kimi-k2.6",
        served_model_name="m",
        state=ServerState.RUNNING,
        pid=1,
        pid_create_time=0.0,
        host="127.0.0.1",
        port=port,
        base_url=f"http://127.0.0.1:{port}/v1",
        engine="sglang-0.5.10.post1-cu129",
        sglang_version="0.5.10.post1",
        started_at=0.0,
        log_path=str(paths.servers / "one" / "server.log"),
        gpu_indices=tuple(range(8)),
    )
    save_record(paths.servers, record)
    (record.server_dir / "child.json").write_text(child_config([], context_length=1000).to_json())
    plan = make_plan(recorded_machine("8xH200"), load_profile("kimi-k2.6", paths.user_profiles), Wishes())
    learn(plan, LaunchFacts(), server_name="one", paths=paths)
    return plan


def test_a_bench_of_an_own_server_is_kept_and_corrects_the_next_plan(paths):
    long = "lo" * 50_000  # in several reads, so that there is a time after the first token
    engine = PlayedEngine([TextDelta("Hel"), TextDelta(long), Finished("stop", Usage(30, 10, 5, 0))])
    with running(endpoint(engine)) as port:
        plan = own_server(port, paths)
        report = bench(BenchOptions(name="one", streams=(1, 2), prefix_tokens=50, turns=2), paths)
    assert json.loads((paths.servers / "one" / "bench.json").read_text()) == json.loads(json.dumps(report.to_json()))
    assert (report.profile, report.gpu_indices) == ("kimi-k2.6", tuple(range(8)))
    learned = load_calibrations(paths).speeds[plan.speed_key]
    assert [rate.streams for rate in learned.decode] == [1, 2]
    assert learned.decode[0].tokens_per_s == report.rows[0].decode_p50_tokens_per_s
    assert learned.prefill_tokens_per_s == pytest.approx(30 / report.reuse.first_token_new_s)
