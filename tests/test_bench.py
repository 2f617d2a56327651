"""The benchmark's own words: a report that keeps what was measured before must read it back as it was."""

import json
import statistics

import pytest

from bench.bounds import BOUNDS
from bench.figures import ROWS
from bench.options import QUICK_ROWS
from bench.report import RESULTS
from bench.result import Line, Point, Result, Target, quantile

RESULT = Result(
    row=1,
    name="GET",
    unit="requests/s",
    rounds=[4.0, 2.0, 3.0],
    target=Target("at least", 0.5, "bare"),
    beside={"bare": [5.0, 8.0, 6.0], "naive": [1.0, 1.0, 1.0]},
    costs={"server cores": 0.9},
    note="by wrk",
)


@pytest.mark.parametrize("target", [None, Target("at most", 3), Target("at least", 0.5, "bare")])
def test_result_is_read_back_as_it_was(target: Target | None) -> None:
    result = Result(**{name: getattr(RESULT, name) for name in RESULT.__slots__} | {"target": target})
    assert Result.of(json.loads(json.dumps(result.document()))) == result


def test_line_is_read_back_as_it_was() -> None:
    line = Line(row=6, plot="wakes", name="p50", points=[Point.of(10, [3, 1, 2]), Point.of(20, [4])])
    assert Line.of(json.loads(json.dumps(line.document()))) == line


def test_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert RESULT.ratio("bare") == statistics.median([4 / 5, 2 / 8, 3 / 6])
    assert RESULT.reached
    assert RESULT.verdict == "reached, 0% to spare"


def test_quantile_is_a_value_that_was_measured() -> None:
    assert quantile([5, 1, 4, 2, 3], 0.5) == 3
    assert quantile([5, 1, 4, 2, 3], 0.99) == 5


def test_every_row_says_what_bounds_it_and_was_measured_at_full_size() -> None:
    assert BOUNDS.keys() == ROWS.keys()
    assert all(BOUNDS.values())
    assert ROWS.keys() > QUICK_ROWS
    kept = json.loads(RESULTS.read_text())
    assert kept["mode"] == "full"
    assert {int(row) for row in kept["rows"]} == ROWS.keys()
