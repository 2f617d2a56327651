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
    IDLE_CONNECTIONS,
    IDLE_GROWTH,
    IDLE_SECONDS,
    NEW_OBJECTS,
    THRESHOLDS,
    WAIT_BLOCKS,
    Activity,
    Collector,
    new_objects,
)


class Cycle:
    """What only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


class Process:
    """A process in which nothing happens but what the test says; its collections are real."""

    def __init__(self) -> None:
        self.now, self.objects, self.blocks = 1_000.0, 0, 500_000
        self.connections = self.in_flight = self.answered = 0
        self.pauses: list[tuple[int, float]] = []
        self.collector = Collector(
            lambda: Activity(self.connections, self.in_flight, self.answered),
            lambda generation, seconds: self.pauses.append((generation, seconds)),
            new=lambda: self.objects,
            allocated=lambda: self.blocks,
            clock=lambda: self.now,
        )

    def collects(self) -> bool:
        """Look once; whether that began a collection."""
        before = len(self.pauses)
        self.collector.check()
        if len(self.pauses) == before:
            return False
        self.objects = 0
        return True

    def frozen_cycle(self) -> "weakref.ref[Cycle]":
        """Garbage in a cycle that was alive at a collection: a whole one alone finds it."""
        cycle = Cycle()
        left = weakref.ref(cycle)
        self.objects = NEW_OBJECTS
        assert self.collects()
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
    one = Process()
    await one.collector.start()
    # Nothing of the interpreter's own comes between.
    gc.disable()
    yield one
    gc.enable()
    await one.collector.stop()


async def test_process_that_does_nothing_is_never_stopped(process: Process) -> None:
    for _ in range(100):
        process.now += IDLE_SECONDS
        assert not process.collects()


async def test_so_many_new_objects_call_for_a_collection(process: Process) -> None:
    process.objects = NEW_OBJECTS - 1
    assert not process.collects()
    process.objects += 1
    assert process.collects()


@pytest.mark.parametrize("what", ["connections", "in_flight", "answered"])
async def test_process_that_becomes_idle_collects_once_what_its_clients_left(process: Process, what: str) -> None:
    setattr(process, what, 1)
    process.now += 100 * IDLE_SECONDS
    assert not process.collects()
    process.now += IDLE_SECONDS / 2
    assert not process.collects()
    process.now += IDLE_SECONDS / 2
    assert process.collects()
    process.now += 100 * IDLE_SECONDS
    assert not process.collects()


async def test_frozen_garbage_is_collected_by_a_process_that_has_grown_and_becomes_idle(process: Process) -> None:
    left = process.frozen_cycle()
    process.blocks += IDLE_GROWTH
    process.answered += 1
    process.objects = NEW_OBJECTS
    assert process.collects()
    assert left() is not None, "not idle yet"
    process.now += IDLE_SECONDS
    assert process.collects()
    assert left() is None


async def test_process_with_many_connections_is_not_deserted(process: Process) -> None:
    process.connections = IDLE_CONNECTIONS + 1
    left = process.frozen_cycle()
    process.blocks += IDLE_GROWTH
    process.now += IDLE_SECONDS
    assert process.collects()
    assert left() is not None
    process.connections -= 1
    assert not process.collects(), "somebody has just left"
    process.now += IDLE_SECONDS
    assert process.collects()
    assert left() is None


async def test_frozen_garbage_is_collected_by_growth_where_a_process_is_never_idle(process: Process) -> None:
    left = process.frozen_cycle()
    process.blocks += BUSY_GROWTH - 1
    process.answered += 1
    process.objects = NEW_OBJECTS
    assert process.collects()
    assert left() is not None
    process.blocks += 1
    process.objects = NEW_OBJECTS
    assert process.collects()
    assert left() is None
    again = process.frozen_cycle()
    process.answered += 1
    process.objects = NEW_OBJECTS
    assert process.collects()
    assert again() is not None, "it has not grown since"


async def test_ten_thousand_waits_are_no_growth(process: Process) -> None:
    left = process.frozen_cycle()
    for _ in range(100):
        process.in_flight += 100
        process.blocks += 100 * WAIT_BLOCKS
        process.objects = NEW_OBJECTS
        assert process.collects()
    assert left() is not None


async def test_never_idle_process_keeps_no_more_cycles_than_come_between_two_collections(process: Process) -> None:
    left: list[weakref.ref[Cycle]] = []
    a_request, looks = 50, 7
    between = NEW_OBJECTS // a_request + looks
    for _ in range(10 * between):
        # Each request leaves one, and some more that is alive; each look comes after a few of them.
        left.append(weakref.ref(Cycle()))
        process.objects += a_request
        process.answered += 1
        process.now += IDLE_SECONDS / 10
        if process.answered % looks == 0:
            process.collects()
        assert all(one() is None for one in left[-2 * between : -between])
    assert len(process.pauses) == 10


async def test_what_is_new_is_counted_and_what_is_frozen_is_not() -> None:
    gc.collect()
    gc.freeze()
    before = new_objects()
    made = [[number] for number in range(1_000)]
    assert 1_000 <= new_objects() - before < 1_100
    gc.freeze()
    assert new_objects() < 100
    del made


async def test_every_collection_is_timed_by_its_generation_even_those_of_the_interpreter(process: Process) -> None:
    process.pauses.clear()
    gc.collect(0)
    gc.collect(1)
    process.answered += 1
    process.objects = NEW_OBJECTS
    process.collector.check()
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
