"""How far a job is and when it will be done, computed when a report is written so that a body depends on its version
alone.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from app.domain.item import Counts
from app.domain.job import Eta

WINDOW_SECONDS = 30.0
"""Only the last half minute counts: the speed of an hour ago does not predict the current file."""
MIN_SAMPLES = 3
"""Two points always lie on a line; below three there is no way to tell a trend from an accident."""
MAX_SAMPLES = 32
"""Bounds the arrays in the hot row; when full, the samples are thinned to one per second-ish step."""
LIVE_CEILING = 99.0
"""The most that a live job shows: the last step is the completion itself."""

Sample: TypeAlias = tuple[float, float]
"""A moment in seconds of the database's clock, and the progress at it."""


def progress_of(reported: float | None, counts: Counts, previous: float) -> float:
    """Return the progress of a live job: as reported, else the share of items done, else as it was."""
    if reported is not None:
        value = reported
    elif counts.total > 0:
        value = 100.0 * counts.done / counts.total
    else:
        value = previous
    return round(min(max(value, 0.0), LIVE_CEILING), 2)


def keep_samples(samples: Sequence[Sample], now: float, progress: float) -> list[Sample]:
    """Add a sample and drop those outside the window; bounded, and always in the order of time."""
    kept = [sample for sample in samples if now - WINDOW_SECONDS <= sample[0] < now]
    if len(kept) >= MAX_SAMPLES:
        kept = kept[::2]
    return [*kept, (now, progress)]


def eta_of(samples: Sequence[Sample]) -> Eta | None:
    """Estimate from the window's mean speed; the bounds come from the fastest and slowest half of its steps."""
    if len(samples) < MIN_SAMPLES:
        return None
    (first_at, first), (last_at, last) = samples[0], samples[-1]
    elapsed, gained = last_at - first_at, last - first
    if elapsed <= 0 or gained <= 0:
        return None
    left = 100.0 - last
    speeds = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(samples) if b[0] > a[0] and b[1] > a[1])
    half = (len(speeds) + 1) // 2
    mean = gained / elapsed
    slow = min(sum(speeds[:half]) / half, mean)
    fast = max(sum(speeds[-half:]) / half, mean)
    return Eta(round(left / mean, 1), round(left / fast, 1), round(left / slow, 1))
