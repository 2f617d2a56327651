"""Lines about refused keys: one a minute and address, none lost, and no more of them than an attacker's patience."""

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, cast

import pytest
from structlog.testing import capture_logs

from app.core import refusals as module
from app.core.keys import ApiKeys
from app.core.refusals import OTHERS, Refusals

if TYPE_CHECKING:
    from app.db.engine import Database

Lines = list[MutableMapping[str, Any]]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock) -> Refusals:
    return Refusals(clock)


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs() as captured:
        yield captured


def said(lines: Lines) -> list[tuple[str, int, int]]:
    assert {line["event"] for line in lines} <= {"keys refused"}
    return [(line["address"], line["wrong"], line["throttled"]) for line in lines]


def test_first_refusal_has_a_line_at_once_and_the_others_one_a_minute(
    refusals: Refusals, clock: Clock, lines: Lines
) -> None:
    for _ in range(4):
        refusals.note("a")
        refusals.note("a", throttled=True)
        clock.now += 5
    assert said(lines) == [("a", 1, 0)]
    clock.now += 40
    refusals.note("a")
    # The line tells of those before; the one that came just now waits for the next.
    assert said(lines) == [("a", 1, 0), ("a", 3, 4)]
    assert lines[-1]["seconds"] == 60
    clock.now += 59
    refusals.flush()
    assert len(lines) == 2
    clock.now += 1
    refusals.flush()
    assert said(lines)[2:] == [("a", 1, 0)]


def test_what_nobody_repeats_is_written_all_the_same_and_then_forgotten(
    refusals: Refusals, clock: Clock, lines: Lines
) -> None:
    refusals.note("a", throttled=True)
    refusals.note("a")
    refusals.note("b")
    clock.now += 60
    refusals.flush()
    assert said(lines) == [("a", 0, 1), ("b", 1, 0), ("a", 1, 0)]
    clock.now += 60
    refusals.flush()
    assert len(refusals) == 0
    assert len(lines) == 3


def test_end_of_the_process_writes_what_is_left(refusals: Refusals, lines: Lines) -> None:
    for _ in range(3):
        refusals.note("a")
    refusals.flush(whole=True)
    refusals.flush(whole=True)
    assert said(lines) == [("a", 1, 0), ("a", 2, 0)]


def test_addresses_that_are_made_up_fill_neither_the_memory_nor_the_log(
    refusals: Refusals, clock: Clock, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ADDRESSES", 10)
    for n in range(1_000):
        refusals.note(f"made up {n}")
        assert len(refusals) <= 11
    assert len(lines) == 11
    assert said(lines)[-1] == (OTHERS, 1, 0)
    clock.now += 60
    refusals.note("another minute")
    assert said(lines)[11:] == [(OTHERS, 989, 0), ("another minute", 1, 0)]
    assert sum(line["wrong"] for line in lines) == 1_001


async def test_background_turn_writes_what_is_due_though_nobody_is_refused_any_more(
    refusals: Refusals, clock: Clock, lines: Lines
) -> None:
    keys = ApiKeys(cast("Database", None))
    keys.refusals = refusals
    for _ in range(3):
        refusals.note("a")
    clock.now += 60
    await keys.write_uses()
    assert said(lines) == [("a", 1, 0), ("a", 2, 0)]
