"""Progress and the estimate made from it."""

from app.domain.estimate import LIVE_CEILING, MAX_SAMPLES, WINDOW_SECONDS, eta_of, keep_samples, progress_of
from app.domain.item import Counts


def test_the_workers_word_comes_before_the_items() -> None:
    assert progress_of(40.0, Counts(total=10, processed=9), 0.0) == 40.0


def test_items_of_every_end_count_as_done() -> None:
    assert progress_of(None, Counts(total=10, processed=3, failed=1, skipped=1), 0.0) == 50.0


def test_a_live_job_is_never_whole() -> None:
    assert progress_of(100.0, Counts(), 0.0) == LIVE_CEILING


def test_without_news_progress_stays() -> None:
    assert progress_of(None, Counts(), 12.5) == 12.5


def test_no_estimate_below_three_samples() -> None:
    assert eta_of([(0.0, 0.0), (1.0, 10.0)]) is None


def test_a_steady_job_is_estimated_exactly() -> None:
    eta = eta_of([(float(second), 10.0 * second) for second in range(4)])
    assert eta is not None
    assert (eta.low_seconds, eta.seconds, eta.high_seconds) == (7.0, 7.0, 7.0)


def test_bounds_enclose_the_estimate_of_an_unsteady_job() -> None:
    eta = eta_of([(0.0, 0.0), (1.0, 5.0), (2.0, 25.0), (3.0, 30.0), (4.0, 50.0)])
    assert eta is not None
    assert eta.low_seconds < eta.seconds < eta.high_seconds


def test_a_job_that_stands_still_has_no_estimate() -> None:
    assert eta_of([(0.0, 10.0), (1.0, 10.0), (2.0, 10.0)]) is None


def test_samples_leave_the_window_and_stay_bounded() -> None:
    samples: list[tuple[float, float]] = []
    for tick in range(1000):
        samples = keep_samples(samples, tick / 10, tick / 20)
    assert len(samples) <= MAX_SAMPLES + 1
    assert samples[0][0] >= samples[-1][0] - WINDOW_SECONDS
    assert samples == sorted(samples)
