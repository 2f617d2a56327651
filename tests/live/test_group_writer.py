"""Group commit: together in one transaction, each with its own outcome, and one row's fault is its own."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from app.db.connection import Connection
from app.db.engine import Database
from app.domain.errors import JobtrackError, NotFoundError, UnansweredError, UnavailableError
from app.domain.ids import new_id
from app.domain.job import JobRef
from app.live import group_writer
from app.live.change_feed import Change
from app.live.group_writer import GroupWriter
from app.live.outcomes import Applied, Partly
from tests import sql


class Rows:
    """Writes integers into a table whose CHECK refuses negative ones; odd ones are refused by the code."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.announced: list[Change] = []
        self.committed_when_announced: list[int] = []

    async def apply(self, connection: Connection, numbers: Sequence[int]) -> Applied[int]:
        self.batches.append(list(numbers))
        await sql.execute(
            connection, "INSERT INTO numbers SELECT n FROM unnest(CAST(:numbers AS integer[])) AS n", numbers=numbers
        )
        outcomes: list[int | JobtrackError] = [NotFoundError("odd") if number % 2 else number for number in numbers]
        return Applied(outcomes, [Change(JobRef(new_id(), new_id())) for _ in numbers])

    def announce(self, changes: Iterable[Change]) -> None:
        self.announced.extend(changes)


@pytest.fixture
async def rows(database: Database) -> Rows:
    async def make(connection: Connection) -> None:
        await sql.execute(connection, "CREATE TABLE numbers (n integer CHECK (n >= 0))")

    await database.write(make)
    return Rows()


async def stored(database: Database) -> list[int]:
    async def read(connection: Connection) -> Any:
        return [row.n for row in await sql.fetch(connection, "SELECT n FROM numbers ORDER BY n")]

    return list(await database.read(read))


async def test_writes_that_arrive_together_commit_together(database: Database, rows: Rows) -> None:
    writer = GroupWriter(database, rows.apply, rows.announce)
    assert await asyncio.gather(*(writer.submit(2 * n) for n in range(100))) == [2 * n for n in range(100)]
    assert len(rows.batches) == 1
    assert len(rows.announced) == 100


async def test_each_caller_gets_its_own_outcome(database: Database, rows: Rows) -> None:
    writer = GroupWriter(database, rows.apply, rows.announce)
    outcomes = await writer.submit_many([2, 3, 4])
    assert outcomes[0] == 2
    assert isinstance(outcomes[1], NotFoundError)
    assert outcomes[2] == 4


async def test_a_row_that_fails_fails_alone(database: Database, rows: Rows) -> None:
    writer = GroupWriter(database, rows.apply, rows.announce)
    answers = await asyncio.gather(*(writer.submit(n) for n in (2, 4, -6, 8)), return_exceptions=True)
    assert [answer for answer in answers if not isinstance(answer, Exception)] == [2, 4, 8]
    assert await stored(database) == [2, 4, 8]
    assert len(rows.announced) == 3


async def test_a_caller_that_leaves_does_not_stop_the_write(database: Database, rows: Rows) -> None:
    writer = GroupWriter(database, rows.apply, rows.announce)
    leaving = asyncio.create_task(writer.submit(2))
    staying = asyncio.create_task(writer.submit(4))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 4
    assert await stored(database) == [2, 4]


async def test_requests_beyond_a_batch_keep_their_order(database: Database, rows: Rows) -> None:
    writer = GroupWriter(database, rows.apply, rows.announce, max_batch=10)
    await writer.submit_many([2 * n for n in range(25)])
    assert rows.batches == [[2 * n for n in range(a, b)] for a, b in ((0, 10), (10, 20), (20, 25))]


async def test_batch_is_bounded_by_what_its_requests_write(database: Database, rows: Rows) -> None:
    writer = GroupWriter(database, rows.apply, rows.announce, row_count=lambda number: number, max_rows=20)
    await asyncio.gather(*(writer.submit(n) for n in (8, 8, 8, 50, 2, 2)))
    assert rows.batches == [[8, 8], [8], [50], [2, 2]]


async def test_row_that_fails_unexpectedly_is_one_outcome_of_many(database: Database, rows: Rows) -> None:
    writer = GroupWriter(database, rows.apply, rows.announce)
    outcomes = await writer.submit_many([2, -2, 4, 3])
    assert (outcomes[0], outcomes[2]) == (2, 4)
    assert isinstance(outcomes[1], JobtrackError)
    assert outcomes[1].code == "internal_error"
    assert isinstance(outcomes[3], NotFoundError)
    assert await stored(database) == [2, 3, 4]


async def test_a_lone_caller_is_never_kept_for_others(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_writer, "GATHER_SECONDS", 3600.0)
    writer = GroupWriter(database, rows.apply, rows.announce)
    async with asyncio.timeout(20):
        for n in range(3):
            await writer.submit(2 * n)
    assert rows.batches == [[0], [2], [4]]


async def test_callers_that_come_again_are_waited_for_and_written_together(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_writer, "GATHER_SECONDS", 3600.0)
    writer = GroupWriter(database, rows.apply, rows.announce)
    await asyncio.gather(*(writer.submit(2 * n) for n in range(3)))
    first = asyncio.create_task(writer.submit(6))
    second = asyncio.create_task(writer.submit(8))
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(rows.batches) == 1
    assert [await asyncio.wait_for(task, 20) for task in (asyncio.create_task(writer.submit(10)), first, second)]
    assert rows.batches == [[0, 2, 4], [6, 8, 10]]


async def test_a_gather_ends_by_itself(database: Database, rows: Rows) -> None:
    writer = GroupWriter(database, rows.apply, rows.announce)
    await asyncio.gather(*(writer.submit(2 * n) for n in range(3)))
    assert await asyncio.wait_for(writer.submit(6), 20) == 6


class AtOnce:
    """Does the even ones of a batch, one of which may fail, and leaves the rest."""

    def __init__(self, failing: UnavailableError | None = None) -> None:
        self.failing = failing

    async def __call__(self, _: Database, numbers: Sequence[int]) -> Partly[int]:
        outcomes = {n: self.failing or number for n, number in enumerate(numbers) if number % 4 == 0}
        return Partly(outcomes, [Change(JobRef(new_id(), new_id())) for _ in outcomes])


async def test_what_is_not_done_at_once_is_done_in_a_transaction(database: Database, rows: Rows) -> None:
    writer = GroupWriter(database, rows.apply, rows.announce, at_once=AtOnce())
    outcomes = await writer.submit_many([2, 4, 3, 8, -6])
    assert outcomes[:2] == [2, 4]
    assert isinstance(outcomes[2], NotFoundError)
    assert outcomes[3] == 8
    assert isinstance(outcomes[4], JobtrackError)
    assert await stored(database) == [2, 3]
    assert len(rows.announced) == 4


async def test_what_may_have_been_done_at_once_is_not_done_again(database: Database, rows: Rows) -> None:
    lost = UnavailableError("it may have been made")
    writer = GroupWriter(database, rows.apply, rows.announce, at_once=AtOnce(lost))
    assert await writer.submit_many([2, 4]) == [2, lost]
    assert await stored(database) == [2]


async def test_who_stands_beside_one_without_an_answer_does_not_wait_as_long_again(
    database: Database, rows: Rows
) -> None:
    lost = UnansweredError("it may have been made")
    writer = GroupWriter(database, rows.apply, rows.announce, at_once=AtOnce(lost))
    beside, outcome = await writer.submit_many([2, 4])
    assert outcome is lost
    assert isinstance(beside, UnavailableError)
    assert "nothing was changed" in beside.message
    assert not rows.batches
