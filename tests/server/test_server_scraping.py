"""What two looks at /metrics say together."""

from __future__ import annotations

import pytest

from sgcx.errors import EngineError
from sgcx.server.scraping import quantile, rate, read_exposition, scrape

HISTOGRAM = """# TYPE wait_seconds histogram
wait_seconds_bucket{{le="1.0"}} {0}
wait_seconds_bucket{{le="2.0"}} {1}
wait_seconds_bucket{{le="+Inf"}} {2}
"""


def looks(*texts):
    return [read_exposition(text, at_s=10.0 * index) for index, text in enumerate(texts)]


def test_a_rate_is_per_second_over_the_samples_with_the_labels():
    text = (
        "# TYPE tokens_total counter\n"
        'tokens_total{{mode="a",rank="0"}} {0}\n'
        'tokens_total{{mode="a",rank="1"}} 5\n'
        'tokens_total{{mode="b"}} 7\n'
    )
    before, now = looks(text.format(0), text.format(50))
    assert rate(before, now, "tokens_total", mode="a") == 5
    assert rate(before, now, "tokens_total", mode="b") == 0
    assert rate(None, now, "tokens_total") is None
    assert rate(before, now, "absent_total") is None


def test_a_counter_that_fell_began_anew():
    before, now = looks("# TYPE x_total counter\nx_total 900\n", "# TYPE x_total counter\nx_total 20\n")
    assert rate(before, now, "x_total") == 2


def test_quantiles_are_of_what_came_between_the_looks():
    before, now = looks(HISTOGRAM.format(100, 100, 100), HISTOGRAM.format(100, 110, 110))
    assert quantile(before, now, "wait_seconds", 0.5) == pytest.approx(1.5)


def test_quantiles_are_of_everything_where_nothing_came():
    before, now = looks(HISTOGRAM.format(10, 10, 10), HISTOGRAM.format(10, 10, 10))
    assert quantile(before, now, "wait_seconds", 0.5) == pytest.approx(0.5)
    assert quantile(*looks(*[HISTOGRAM.format(0, 0, 0)] * 2), "wait_seconds", 0.5) is None


def test_a_quantile_beyond_the_last_bound_is_that_bound():
    assert quantile(None, *looks(HISTOGRAM.format(0, 0, 3)), "wait_seconds", 0.5) == 2


def test_what_is_no_exposition_is_said():
    with pytest.raises(EngineError, match="cannot be read"):
        read_exposition("<html>", at_s=0)
    with pytest.raises(EngineError, match="does not answer: ConnectError"):
        scrape("http://127.0.0.1:1/v1", None)
