"""Leases that ended while the database or all of us were away get time; nothing else does."""

from dataclasses import dataclass
from uuid import UUID

import pytest

from app.core.rescue import Rescue
from app.db.engine import Database
from app.domain.states import JobState
from tests import factories, sql
from tests.factories import Made

LEFT = (
    "SELECT extract(epoch FROM lease_ends_at - statement_timestamp())::float8 AS seconds FROM runs WHERE job_id = :id"
)


@dataclass(frozen=True)
class Held:
    """Jobs whose leases end at several moments, by the seconds that are left."""

    database: Database
    jobs: dict[float, Made]

    async def left(self, seconds: float) -> float | None:
        """The seconds that are left of a lease now; None where it was taken."""
        async with self.database.connection() as connection:
            rows = await sql.fetch(connection, LEFT, id=self.jobs[seconds].id)
        return float(rows[0].seconds) if rows and rows[0].seconds is not None else None


def rescue(database: Database) -> Rescue:
    return Rescue(database, lambda _: None)


async def run(database: Database, statement: str, **values: object) -> None:
    async with database.transaction() as connection:
        await sql.execute(connection, statement, **values)


async def last_look_was(database: Database, seconds_ago: float) -> None:
    await run(
        database, "UPDATE looks SET seen_at = statement_timestamp() - :ago * interval '1 second'", ago=seconds_ago
    )


async def stored_look(database: Database) -> object:
    async with database.connection() as connection:
        return await sql.fetch_value(connection, "SELECT seen_at FROM looks")


@pytest.fixture
async def held(database: Database) -> Held:
    """A lease that lapsed before a gap of 20 s, two in it, one that ends soon after it and one much later."""
    async with database.transaction() as connection:
        project_id: UUID = await factories.project(connection)
        jobs = {
            left: await factories.job(
                connection, project_id, state=JobState.RUNNING, lease_left_seconds=left, lease_seconds=length
            )
            for left, length in ((-25.0, 6), (-15.0, 6), (-14.0, 600), (2.0, 6), (500.0, 600))
        }
    return Held(database, jobs)


async def test_after_a_gap_the_leases_that_ended_in_it_get_their_length_and_at_most_thirty_seconds(held: Held) -> None:
    await last_look_was(held.database, 20)
    looking = rescue(held.database)
    assert await looking.step() == 0
    assert 4 < (await held.left(-15.0) or 0) <= 6
    assert 28 < (await held.left(-14.0) or 0) <= 30
    assert 4 < (await held.left(2.0) or 0) <= 6, "its worker was refused as well, and tries again just now"
    assert 490 < (await held.left(500.0) or 0) <= 500, "nothing is taken away"

    await looking.step()
    assert await held.left(-25.0) is None, "it lapsed while all was well"
    assert await held.left(-15.0) is not None


async def test_a_second_late_look_takes_nothing_away_and_gives_nothing_more(held: Held) -> None:
    """Each process comes back by itself, with an old look of its own."""
    await last_look_was(held.database, 20)
    processes = [rescue(held.database) for _ in range(3)]
    await processes[0].step()
    first = await held.left(-15.0) or 0
    for late in processes[1:]:
        await late.step()
        now = await held.left(-15.0)
        assert now is not None
        assert now < first
        first = now


async def test_without_a_gap_what_lapsed_is_taken_at_once(held: Held) -> None:
    await last_look_was(held.database, 1)
    await rescue(held.database).step()
    assert await held.left(-15.0) is None
    assert await held.left(2.0) is not None


async def test_a_process_that_looked_all_the_time_knows_that_there_was_no_gap(database: Database) -> None:
    """While nothing is leased no look is stored."""
    await last_look_was(database, 3600)
    before = await stored_look(database)
    looking = rescue(database)
    await looking.step()
    assert await stored_look(database) == before
    async with database.transaction() as connection:
        made = await factories.job(
            connection, await factories.project(connection), state=JobState.RUNNING, lease_left_seconds=-0.1
        )
    await looking.step()
    assert await Held(database, {0.0: made}).left(0.0) is None
    assert await stored_look(database) != before, "now it is, by its own look of a moment ago"


async def test_look_is_stored_while_something_is_leased(held: Held) -> None:
    await last_look_was(held.database, 2)
    before = await stored_look(held.database)
    looking = rescue(held.database)
    await looking.step()
    after = await stored_look(held.database)
    assert str(after) > str(before)
    await looking.step()
    assert await stored_look(held.database) == after, "not for every look of every process"


async def test_look_waits_for_no_other_process_that_is_storing_its_own(held: Held) -> None:
    await last_look_was(held.database, 2)
    before = await stored_look(held.database)
    async with held.database.transaction() as busy:
        await sql.execute(busy, "SELECT FROM looks FOR UPDATE")
        await rescue(held.database).step()
        assert await stored_look(held.database) == before
    assert await held.left(-15.0) is None, "what has lapsed is found all the same"


async def test_a_lease_that_is_locked_keeps_the_others_from_no_grace(held: Held) -> None:
    await last_look_was(held.database, 20)
    async with held.database.transaction() as busy:
        await sql.execute(busy, "SELECT FROM runs WHERE job_id = :id FOR UPDATE", id=held.jobs[-14.0].id)
        await rescue(held.database).step()
    assert 4 < (await held.left(-15.0) or 0) <= 6
