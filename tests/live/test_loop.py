"""Loops start and stop in any order, survive what they meet, and rest as long as their step says."""

import asyncio
import random

import pytest

from app.live import loop as module
from app.live.loop import Loop, Periodic

STRESS_ROUNDS = 200


class Counting(Loop):
    """Counts its rounds, and how many of them run at a time."""

    def __init__(self) -> None:
        super().__init__("counting")
        self.rounds = 0
        self.running = 0
        self.most_running = 0

    async def run_once(self) -> None:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0)
            self.rounds += 1
        finally:
            self.running -= 1


@pytest.mark.parametrize("seed", range(4))
async def test_starts_and_stops_in_any_order_leave_at_most_one_round_running(seed: int) -> None:
    """After every stop nothing of it runs, whoever else starts and stops it at the same time."""
    dice = random.Random(seed)
    counting = Counting()
    tasks_before = asyncio.all_tasks()
    for _ in range(STRESS_ROUNDS):
        calls = [dice.choice((counting.start, counting.stop))() for _ in range(dice.randint(1, 4))]
        await asyncio.gather(*calls)
        for _ in range(dice.randint(0, 3)):
            await asyncio.sleep(0)
        if dice.random() < 0.2:
            await counting.stop()
            assert counting.running == 0
            assert asyncio.all_tasks() == tasks_before
    await counting.stop()
    assert counting.running == 0
    assert counting.most_running == 1
    assert asyncio.all_tasks() == tasks_before


class Deaf(Loop):
    """Swallows its first cancellation, as `asyncio.wait_for` does in Python 3.11 when what it waits for comes then."""

    def __init__(self) -> None:
        super().__init__("deaf")
        self.rests = asyncio.Event()
        self.swallowed = 0

    async def run_once(self) -> None:
        self.rests.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.swallowed += 1
            if self.swallowed > 1:
                raise


async def test_stop_ends_a_round_that_swallows_a_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CANCEL_AGAIN_SECONDS", 0.01)
    deaf = Deaf()
    await deaf.start()
    await deaf.rests.wait()
    async with asyncio.timeout(10):
        await deaf.stop()
    assert deaf.swallowed == 2


async def test_stop_is_safe_before_start_and_twice() -> None:
    counting = Counting()
    await counting.stop()
    await counting.start()
    await counting.start()
    await counting.stop()
    await counting.stop()
    assert counting.running == 0


async def test_an_error_does_not_end_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.0)
    went_on = asyncio.Event()
    calls = 0

    async def step() -> float:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise RuntimeError
        went_on.set()
        return 60.0

    periodic = Periodic("failing", step)
    await periodic.start()
    async with asyncio.timeout(10):
        await went_on.wait()
    await periodic.stop()
    assert calls == 3


async def test_a_step_that_returns_no_rest_is_repeated_at_once_and_others_rest_at_least_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests = iter((0.0, 0.0, 0.1, 5.0))
    slept: list[float] = []
    done = asyncio.Event()
    sleep = asyncio.sleep

    async def step() -> float:
        try:
            return next(rests)
        except StopIteration:
            done.set()
            await sleep(60)
            return 0.0

    async def fake_sleep(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", fake_sleep)
    periodic = Periodic("resting", step, at_least_seconds=0.25)
    await periodic.start()
    async with asyncio.timeout(10):
        await done.wait()
    await periodic.stop()
    assert slept == [0.25, 5.0]


async def test_a_cancellation_of_something_else_does_not_end_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.0)
    went_on = asyncio.Event()
    calls = 0

    async def step() -> float:
        nonlocal calls
        calls += 1
        if calls == 1:
            others = asyncio.get_running_loop().create_future()
            others.cancel()
            await others
        went_on.set()
        return 60.0

    periodic = Periodic("waiting for others", step)
    await periodic.start()
    async with asyncio.timeout(10):
        await went_on.wait()
    await periodic.stop()
    assert calls == 2
