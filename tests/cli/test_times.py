"""Times and durations that people type, and those that they are shown."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import typer

from app.cli import times


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A viewer three hours ahead of UTC; the signs of POSIX are the other way round."""
    monkeypatch.setenv("TZ", "XXX-3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600), ("1.5h", 5400)],
)
def test_duration_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert times.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1e3s", "1 h", "1y", "9" * 30 + "s", "٣h", "nan", "inf"])
def test_duration_without_a_known_unit_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a duration such as 90s"):
        times.duration(text)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "0001-01-01T00:00+23:59", "999999999w", "", "-1h"])
def test_since_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is neither a duration such as 30m, 24h or 7d nor a time"):
        times.since(text)


@pytest.mark.usefixtures("zone")
def test_since_is_a_time_or_how_long_ago_it_was() -> None:
    assert abs(datetime.now(UTC) - timedelta(hours=24) - times.since("24h")) < timedelta(minutes=1)
    assert times.since("2026-11-27T08:00:00Z") == datetime(2026, 11, 27, 8, tzinfo=UTC)
    # Without an offset it is the viewer's, three hours ahead.
    assert times.since("2026-11-27T08:00") == datetime(2026, 11, 27, 5, tzinfo=UTC)
    assert times.since("2026-11-27") == datetime(2026, 11, 26, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s ago"),
        (-0.5, "0 s ago"),
        (59, "59 s ago"),
        (200, "3 m ago"),
        (7300, "2 h ago"),
        (86_400 * 1500, "1,500 d ago"),
        (-130, "in 2 m"),
    ],
)
def test_age_has_one_unit(seconds: float, text: str) -> None:
    assert times.age((datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()) == text


@pytest.mark.usefixtures("zone")
def test_full_time_is_in_the_zone_of_the_viewer() -> None:
    assert times.full("2001-02-03T22:04:05.678Z").startswith("2001-02-04 01:04:05+03:00 (")
    assert times.clock("2001-02-03T22:04:05.678Z") == "2001-02-04 01:04:05"
    assert len(times.clock(datetime.now(UTC).isoformat())) == len("01:04:05")


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize("text", ["", "soon", "9999-12-31T23:59:59.999999-12:00"])
def test_time_that_this_version_cannot_read_is_shown_as_it_is(text: str) -> None:
    assert (times.age(text), times.clock(text), times.full(text)) == (text, text, text)
    assert not times.is_ahead(text)
    assert times.is_since(text, datetime.now(UTC))
