"""What a start reports and a bench measures corrects the next plan; what is implausible teaches nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recorded_machines import recorded_machine

from sgcx.bench.report import PrefixReuse, Report, Row
from sgcx.byte_sizes import GIB
from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.calibration import CalibrationTable, Observation, compare, parse_calibrations
from sgcx.planning.measured_speed import DecodeRate, MeasuredSpeed
from sgcx.planning.plan import LaunchPlan, Wishes
from sgcx.planning.planner import plan
from sgcx.profiles import load_profile
from sgcx.server.launch_progress import LaunchFacts, LaunchProgress
from sgcx.workflows.calibration import learn, learn_speed, load_calibrations

NOWHERE = Path("/nonexistent")
LOG = Path(__file__).parents[1] / "server" / "logs" / "ready.log"


def planned(
    table: CalibrationTable | None = None, model: str = "kimi-k2.6", wishes: Wishes | None = None
) -> LaunchPlan:
    made = plan(recorded_machine("8xH200"), load_profile(model, NOWHERE), wishes or Wishes(), calibrations=table)
    assert isinstance(made, LaunchPlan) and made.prediction is not None
    return made


@pytest.mark.parametrize(("weights_share", "tokens_share"), [(1.01, 0.95), (0.99, 1.04), (1.0, 0.9)])
def test_the_next_plan_predicts_what_was_reported(weights_share: float, tokens_share: float) -> None:
    first = planned()
    assert first.prediction is not None
    reported = Observation(
        int(first.prediction.weights_bytes * weights_share), int(first.max_total_num_tokens * tokens_share)
    )
    learned = compare(first.prediction, reported).calibration
    assert learned is not None
    second = planned(CalibrationTable().with_entry(first.prediction.key, learned))

    assert second.prediction is not None
    assert second.prediction.weights_bytes == pytest.approx(reported.weights_bytes, rel=1e-6)
    if second.value_of("mem_fraction_static") == first.value_of("mem_fraction_static"):
        assert second.max_total_num_tokens == pytest.approx(reported.max_total_num_tokens, rel=0.005)
    again = compare(second.prediction, Observation(second.prediction.weights_bytes, second.max_total_num_tokens))
    assert again.calibration == second.prediction.calibration, "what comes true changes nothing"
    assert again.weights_error == again.tokens_error == 0


@pytest.mark.parametrize(
    "reported",
    [Observation(None, 600_000), Observation(71 * GIB, None), Observation(2 * GIB, 600_000), Observation(71 * GIB, 9)],
    ids=["no weights", "no tokens", "a draft's weights", "another cache"],
)
def test_what_is_incomplete_or_implausible_teaches_nothing(reported: Observation) -> None:
    prediction = planned().prediction
    assert prediction is not None
    assert compare(prediction, reported).calibration is None


def test_what_was_learnt_of_one_model_leaves_the_others_alone() -> None:
    kimi = planned().prediction
    assert kimi is not None
    learned = compare(kimi, Observation(int(kimi.weights_bytes * 1.05), kimi.max_total_num_tokens)).calibration
    assert learned is not None

    assert planned(CalibrationTable().with_entry(kimi.key, learned), "deepseek-r1") == planned(model="deepseek-r1")


def test_a_start_leaves_its_difference_with_the_server_and_its_lesson_with_the_planner(tmp_path: Path) -> None:
    paths = Paths(data=tmp_path, state=tmp_path / "state", config=tmp_path)
    made = planned()
    facts = LaunchFacts(weights_gib=70.0, max_total_num_tokens=640_000)
    learned = learn(made, facts, server_name="one", paths=paths)

    assert learned is not None and learned.calibration is not None
    kept = json.loads((paths.servers / "one" / "prediction.json").read_text())
    assert kept["observed_max_total_num_tokens"] == 640_000
    assert kept["predicted_max_total_num_tokens"] == made.max_total_num_tokens
    table = load_calibrations(paths)
    assert table.entries == {learned.prediction.key: learned.calibration}
    assert planned(table).to_json()["predicted"]["calibrated"] is True


@pytest.mark.parametrize("text", ["", "[]", '{"entries": [{"repository": "x"}]}'])
def test_a_damaged_file_counts_as_none(tmp_path: Path, text: str) -> None:
    paths = Paths(data=tmp_path, state=tmp_path, config=tmp_path)
    paths.calibration.write_text(text)

    assert load_calibrations(paths) == CalibrationTable()


def test_a_table_survives_json() -> None:
    made = planned()
    assert made.prediction is not None and made.speed_key is not None
    table = CalibrationTable().with_entry(made.prediction.key, made.prediction.calibration)
    table = table.with_speed(made.speed_key, MeasuredSpeed((DecodeRate(1, 90.5), DecodeRate(16, 400)), 7000))

    assert parse_calibrations(json.loads(json.dumps(table.to_json())), origin="file") == table
    entries, speeds = table.to_json()["entries"], table.to_json()["speeds"]
    assert isinstance(entries, list) and isinstance(speeds, list)
    with pytest.raises(UserError, match="weights_factor"):
        parse_calibrations({"entries": [{**entries[0], "weights_factor": 9}]}, origin="file")
    with pytest.raises(UserError, match=r"speeds\[0\].decode"):
        parse_calibrations({"entries": [], "speeds": [{**speeds[0], "decode": []}]}, origin="file")


def test_a_file_without_speeds_is_one_too() -> None:
    assert parse_calibrations({"entries": []}, origin="file") == CalibrationTable()


REUSE = PrefixReuse(8000, 7990, 2.0, 0.2)


def bench_report(*rows: Row, reuse: PrefixReuse | None = REUSE) -> Report:
    return Report("http://h", "kimi-k2.6", "now", 8000, 128, 3, reuse, rows)


def row(streams: int, decode_p50_tokens_per_s: float, failures: int = 0) -> Row:
    return Row(streams, 3, failures, None, 1000, 0.5, 384, 30.0, 0.2, 0.4, 0.01, 0.02, decode_p50_tokens_per_s)


def after_bench(report: Report, tmp_path: Path, model: str = "kimi-k2.6") -> CalibrationTable:
    paths = Paths(data=tmp_path, state=tmp_path / "state", config=tmp_path)
    learn(planned(model=model), LaunchFacts(), server_name="one", paths=paths)
    learn_speed(report, server_name="one", paths=paths)
    return load_calibrations(paths)


def test_a_bench_moves_what_the_next_plan_expects_and_narrows_it(tmp_path: Path) -> None:
    first = planned().speed
    second = planned(after_bench(bench_report(row(1, 100.0), row(16, 25.0)), tmp_path)).speed

    assert first is not None and not first.is_measured
    assert second is not None and second.is_measured
    assert second.decode_tokens_per_s == pytest.approx((85, 115))
    assert second.streams == 16 and second.decode_tokens_per_s_full == pytest.approx((340, 460))
    assert second.prefill_tokens_per_s == pytest.approx((3400, 4600))
    assert second.time_to_first_token_s == pytest.approx((10_000 / 4600, 10_000 / 3400))


def test_what_was_not_measured_grows_from_what_was_and_promises_less(tmp_path: Path) -> None:
    one_stream = planned(after_bench(bench_report(row(1, 100.0)), tmp_path)).speed
    guess = planned().speed
    assert one_stream is not None and guess is not None
    assert one_stream.decode_tokens_per_s == pytest.approx((85, 115))
    slow, fast = one_stream.decode_tokens_per_s_full
    assert fast / slow == pytest.approx(guess.decode_tokens_per_s_full[1] / guess.decode_tokens_per_s_full[0])
    alone = sum(guess.decode_tokens_per_s) / 2
    assert fast == pytest.approx(guess.decode_tokens_per_s_full[1] * 100 / alone), "as the roofline grows"


@pytest.mark.parametrize(
    "report",
    [
        bench_report(row(1, 100.0), reuse=None),
        bench_report(row(1, 100.0, failures=1)),
        bench_report(row(1, 0.0)),
        bench_report(row(32, 10.0)),
        bench_report(),
    ],
    ids=["no new prompt", "failures", "one token each", "more than run at once", "nothing"],
)
def test_a_bench_that_does_not_show_decoding_teaches_nothing(report: Report, tmp_path: Path) -> None:
    assert after_bench(report, tmp_path) == CalibrationTable()


def test_a_bench_of_one_division_says_nothing_of_another(tmp_path: Path) -> None:
    table = after_bench(bench_report(row(1, 100.0)), tmp_path, "deepseek-r1")
    same = planned(table, "deepseek-r1").speed
    assert same is not None and same.is_measured
    for wishes in (Wishes(prefer="latency"), Wishes(dp_size=8)):
        other = planned(table, "deepseek-r1", wishes).speed
        assert other is not None and not other.is_measured


def test_a_bench_of_a_server_without_a_prediction_teaches_nothing(tmp_path: Path) -> None:
    paths = Paths(data=tmp_path, state=tmp_path / "state", config=tmp_path)
    learn_speed(bench_report(row(1, 100.0)), server_name="rehearsal", paths=paths)
    assert not paths.calibration.exists()


def test_the_log_of_a_real_start_is_an_observation() -> None:
    progress = LaunchProgress()
    for line in LOG.read_text().splitlines():
        progress.feed(line)

    assert progress.facts.max_total_num_tokens
