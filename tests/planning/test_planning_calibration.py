"""What a start reports corrects the next plan, which then predicts it; what is implausible teaches nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recorded_machines import recorded_machine

from sgcx.errors import UserError
from sgcx.paths import Paths
from sgcx.planning.calibration import CalibrationTable, Observation, compare, parse_calibrations
from sgcx.planning.memory import GIB
from sgcx.planning.plan import LaunchPlan, Wishes
from sgcx.planning.planner import plan
from sgcx.profiles import load_profile
from sgcx.server.launch_progress import LaunchFacts, LaunchProgress
from sgcx.workflows.calibration import learn, load_calibrations

NOWHERE = Path("/nonexistent")
LOG = Path(__file__).parents[1] / "server" / "logs" / "ready.log"


def planned(table: CalibrationTable | None = None, model: str = "kimi-k2.6") -> LaunchPlan:
    made = plan(recorded_machine("8xH200"), load_profile(model, NOWHERE), Wishes(), calibrations=table)
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
    prediction = planned().prediction
    assert prediction is not None
    table = CalibrationTable().with_entry(prediction.key, prediction.calibration)

    assert parse_calibrations(json.loads(json.dumps({"entries": table.to_json()})), origin="file") == table
    with pytest.raises(UserError, match="weights_factor"):
        parse_calibrations({"entries": [{**table.to_json()[0], "weights_factor": 9}]}, origin="file")


def test_the_log_of_a_real_start_is_an_observation() -> None:
    progress = LaunchProgress()
    for line in LOG.read_text().splitlines():
        progress.feed(line)

    assert progress.facts.max_total_num_tokens
