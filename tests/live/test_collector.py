"""When cycles are collected: by what clients do and by what is in memory, as the test says; no clock, no sleep."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from app.live import collector as module
from app.live.collector import (
    BUSY_GROWTH,
    CHECK_SECONDS,
    GROWTH_SECONDS,
    IDLE_CONNECTIONS,
    IDLE_GROWTH,
    IDLE_SECONDS,
    THRESHOLDS,
    WAIT_BLOCKS,
    Activity,
    Collector,
)

SMALL, WHOLE = 1, 2
"""Collections at a look: a whole one comes after a small one."""


class Cycle:
    """What only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


class Process:
    """A process in which nothing happens but what the test says; its collections are real."""

    def __init__(self) -> None:
        self.now, self.blocks, self.counted = 1_000.0, 500_000, 0
        self.connections = self.in_flight = self.answered = 0
        self.pauses: list[tuple[int, float]] = []
        self.collector = Collector(
            lambda: Activity(self.connections, self.in_flight, self.answered),
            lambda generation, seconds: self.pauses.append((generation, seconds)),
            allocated=self._allocated,
            clock=lambda: self.now,
        )

    def _allocated(self) -> int:
        self.counted += 1
        return self.blocks

    def looks(self, *, after: float = 0.0, busy: bool = True) -> int:
        """Look once, some time later; returns how many collections that began."""
        self.now += after
        self.answered += busy
        before = len(self.pauses)
        self.collector.check()
        return len(self.pauses) - before

    def frozen_cycle(self) -> "weakref.ref[Cycle]":
        """Garbage in a cycle that was alive at a collection: a whole one alone finds it."""
        cycle = Cycle()
        left = weakref.ref(cycle)
        assert self.looks() == SMALL
        del cycle
        return left


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest_asyncio.fixture
async def process(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Process]:
    # It looks when the test does.
    monkeypatch.setattr(module, "CHECK_SECONDS", 3_600.0)
    monkeypatch.setattr(module, "IDLE_CHECK_SECONDS", 3_600.0)
    one = Process()
    await one.collector.start()
    # Nothing of the interpreter's own comes between.
    gc.disable()
    yield one
    gc.enable()
    await one.collector.stop()


async def test_what_is_new_is_collected_at_each_look(process: Process) -> None:
    for _ in range(3):
        left = weakref.ref(Cycle())
        assert process.looks() == SMALL
        assert left() is None


@pytest.mark.parametrize("busy", [True, False])
async def test_memory_is_looked_at_rarely(process: Process, busy: bool) -> None:
    process.connections = IDLE_CONNECTIONS + 1
    process.looks(after=GROWTH_SECONDS)
    process.counted = 0
    looks = 400
    for _ in range(looks):
        process.looks(after=CHECK_SECONDS, busy=busy)
    assert process.counted == looks * CHECK_SECONDS / GROWTH_SECONDS


async def test_process_without_clients_looks_at_its_memory_when_the_last_one_has_gone(process: Process) -> None:
    left = process.frozen_cycle()
    process.blocks += IDLE_GROWTH
    assert process.looks() == SMALL
    assert process.looks(after=IDLE_SECONDS - 0.1, busy=False) == SMALL
    assert left() is not None, "not idle yet"
    assert process.looks(after=0.1, busy=False) == WHOLE
    assert left() is None
    assert process.looks(after=0.1, busy=False) == SMALL, "it has not grown since"


@pytest.mark.parametrize("what", ["connections", "in_flight", "answered"])
async def test_whoever_comes_or_goes_keeps_it_from_being_deserted(process: Process, what: str) -> None:
    seen = [process.collector.deserted]
    setattr(process, what, 1)
    for _ in range(2):
        process.looks(after=IDLE_SECONDS, busy=False)
        seen.append(process.collector.deserted)
    assert seen == [True, False, True]


async def test_process_with_many_connections_is_not_deserted(process: Process) -> None:
    process.connections = IDLE_CONNECTIONS + 1
    left = process.frozen_cycle()
    process.blocks += IDLE_GROWTH
    assert process.looks(after=GROWTH_SECONDS, busy=False) == SMALL
    assert left() is not None
    process.connections -= 1
    assert process.looks(busy=False) == SMALL, "somebody has just left"
    assert process.looks(after=IDLE_SECONDS, busy=False) == WHOLE
    assert left() is None


async def test_frozen_garbage_is_collected_by_growth_where_a_process_is_never_idle(process: Process) -> None:
    left = process.frozen_cycle()
    process.blocks += BUSY_GROWTH - 1
    assert process.looks(after=GROWTH_SECONDS) == SMALL
    assert left() is not None
    process.blocks += 1
    assert process.looks(after=GROWTH_SECONDS) == WHOLE
    assert left() is None
    again = process.frozen_cycle()
    assert process.looks(after=GROWTH_SECONDS) == SMALL
    assert again() is not None, "it has not grown since"


async def test_ten_thousand_waits_are_no_growth(process: Process) -> None:
    left = process.frozen_cycle()
    for _ in range(100):
        process.in_flight += 100
        process.blocks += 100 * WAIT_BLOCKS
        assert process.looks(after=GROWTH_SECONDS) == SMALL
    assert left() is not None


async def test_every_collection_is_timed_by_its_generation_even_those_of_the_interpreter(process: Process) -> None:
    process.pauses.clear()
    gc.collect(0)
    gc.collect(1)
    process.looks()
    assert [generation for generation, _ in process.pauses] == [0, 1, 2]
    assert all(0 < seconds < 60 for _, seconds in process.pauses)


async def test_it_takes_over_and_gives_back() -> None:
    was = gc.get_threshold()
    gc.set_threshold(701, 11, 12)
    before: Any = (gc.get_threshold(), list(gc.callbacks))
    process = Process()
    await process.collector.stop()
    assert (gc.get_threshold(), gc.callbacks) == before
    await process.collector.start()
    await process.collector.start()
    assert gc.get_threshold() == THRESHOLDS
    assert gc.get_freeze_count() > 0
    assert len(gc.callbacks) == len(before[1]) + 1
    [running] = [task for task in asyncio.all_tasks() if task.get_name() == "collector"]
    await process.collector.stop()
    await process.collector.stop()
    assert running.done()
    assert (gc.get_threshold(), gc.callbacks) == before
    gc.set_threshold(*was)
