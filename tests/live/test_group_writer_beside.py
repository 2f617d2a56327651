"""Two batches in flight where no order is promised: only full ones, and no caller is forgotten whatever happens."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from app.db.connection import Connection
from app.db.engine import Database, make_engine
from app.db.shares import ROOM_FOR_TWO
from app.domain.errors import UnansweredError, UnavailableError
from app.live.change_feed import Change
from app.live.group_writer import GroupWriter
from app.live.outcomes import Applied, Deferred

FULL = 10


class Batches:
    """Batches that stay open until the test lets each through."""

    def __init__(self) -> None:
        self.open: list[list[int]] = []
        self.let_through: list[asyncio.Event] = []
        self.deferring: set[int] = set()
        self.failures: dict[int, Exception] = {}
        """By the first number of a batch."""

    async def apply(self, _: Connection, numbers: Sequence[int]) -> Applied[int]:
        self.open.append(list(numbers))
        self.let_through.append(asyncio.Event())
        await self.let_through[-1].wait()
        if numbers[0] in self.failures:
            raise self.failures[numbers[0]]
        deferred, self.deferring = self.deferring & {*numbers}, self.deferring - {*numbers}
        return Applied([Deferred.BUSY if number in deferred else number for number in numbers])

    async def until(self, count: int) -> None:
        """Wait until so many batches have begun."""
        async with asyncio.timeout(20):
            while len(self.open) < count:
                await asyncio.sleep(0.001)


def ignore(_: Iterable[Change]) -> None:
    pass


@pytest.fixture
def batches() -> Batches:
    return Batches()


def made(database: Database, batches: Batches, *, ordered: bool) -> GroupWriter[int, int]:
    return GroupWriter(database, batches.apply, ignore, max_batch=FULL, ordered=ordered)


async def test_a_full_batch_is_written_beside_another_and_a_smaller_one_waits(
    database: Database, batches: Batches
) -> None:
    writer = made(database, batches, ordered=False)
    first = asyncio.create_task(writer.submit_many(range(FULL)))
    await batches.until(1)
    small = asyncio.create_task(writer.submit(100))
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(batches.open) == 1, "two small batches cost more than one of both"
    beside = asyncio.create_task(writer.submit_many(range(200, 200 + FULL)))
    await batches.until(2)
    assert batches.open[1] == [100, *range(200, 199 + FULL)]
    # The second is done before the first, and the one that was left over comes with the next.
    batches.let_through[1].set()
    assert await small == 100
    batches.let_through[0].set()
    assert await first == [*range(FULL)]
    await batches.until(3)
    batches.let_through[2].set()
    assert await beside == [*range(200, 200 + FULL)]
    assert batches.open[2] == [199 + FULL]
    assert writer.idle


@pytest.mark.parametrize("failure", [UnansweredError("no answer"), UnavailableError("away")], ids=["silent", "away"])
async def test_who_waits_is_written_by_the_batch_that_is_well(
    database: Database, batches: Batches, failure: Exception
) -> None:
    writer = made(database, batches, ordered=False)
    batches.failures = {200: failure}
    first = asyncio.create_task(writer.submit_many(range(FULL)))
    await batches.until(1)
    beside = asyncio.create_task(writer.submit_many(range(200, 200 + FULL)))
    await batches.until(2)
    behind = asyncio.create_task(writer.submit(300))
    await asyncio.sleep(0)
    batches.let_through[1].set()
    assert await asyncio.wait_for(beside, 20) == [failure] * FULL
    assert not behind.done()
    batches.let_through[0].set()
    assert await first == [*range(FULL)]
    await batches.until(3)
    batches.let_through[2].set()
    assert await asyncio.wait_for(behind, 20) == 300


async def test_two_that_are_given_up_leave_nobody_waiting(database: Database, batches: Batches) -> None:
    writer = made(database, batches, ordered=False)
    before = asyncio.all_tasks()
    callers = [asyncio.create_task(writer.submit_many(range(FULL)))]
    await batches.until(1)
    callers.append(asyncio.create_task(writer.submit_many(range(200, 200 + FULL))))
    await batches.until(2)
    callers.append(asyncio.create_task(writer.submit_many([300])))
    await asyncio.sleep(0)
    writers = [task for task in asyncio.all_tasks() - before if "_write" in repr(task.get_coro())]
    assert len(writers) == 2
    for task in writers:
        task.cancel()
    answers = [answer for answers in await asyncio.wait_for(asyncio.gather(*callers), 20) for answer in answers]
    assert {type(answer) for answer in answers} == {UnavailableError}
    assert writer.idle


def test_small_pool_has_room_for_one(batches: Batches) -> None:
    small = Database(make_engine("postgresql://nowhere/none", pool_size=ROOM_FOR_TWO - 1))
    assert made(small, batches, ordered=False)._ordered


async def test_no_batch_overtakes_another_where_there_is_an_order(database: Database, batches: Batches) -> None:
    writer = made(database, batches, ordered=True)
    writing = asyncio.create_task(writer.submit_many(range(3 * FULL)))
    await batches.until(1)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(batches.open) == 1
    for n in range(3):
        await batches.until(n + 1)
        batches.let_through[n].set()
    assert await writing == [*range(3 * FULL)]


async def test_what_is_deferred_when_the_other_has_nothing_more_to_do_is_written(
    database: Database, batches: Batches
) -> None:
    writer = made(database, batches, ordered=False)
    batches.deferring = {203}
    first = asyncio.create_task(writer.submit_many(range(FULL)))
    await batches.until(1)
    beside = asyncio.create_task(writer.submit_many(range(200, 200 + FULL)))
    await batches.until(2)
    batches.let_through[0].set()
    assert await first == [*range(FULL)]
    assert not writer.idle
    batches.let_through[1].set()
    await batches.until(3)
    assert batches.open[2] == [203]
    batches.let_through[2].set()
    assert await asyncio.wait_for(beside, 20) == [*range(200, 200 + FULL)]
    assert writer.idle
