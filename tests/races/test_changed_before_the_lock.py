"""Jobs that another transaction changes after a statement has seen them and before it has locked them."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from app.db import claims, transitions
from app.db.claims import Claimed, Slot
from app.db.engine import Database
from app.domain.job import ClaimFilter
from app.domain.states import JobState
from tests import factories, sql
from tests.factories import Made
from tests.races.gate import SET_UP, between_snapshot_and_lock


async def put_job(database: Database) -> Made:
    async with database.transaction() as connection:
        made = await factories.job(connection, await factories.project(connection))
    async with database.connection() as connection:
        await connection.driver.execute(SET_UP)
    return made


async def claim(database: Database, made: Made, job_ids: tuple[UUID, ...] | None) -> list[Claimed]:
    claim_filter = ClaimFilter(project_id=made.project_id, job_ids=job_ids)
    async with database.transaction() as connection:
        await connection.driver.execute("SET LOCAL test.gated = 'on'")
        return await claims.claim(connection, claim_filter, [Slot(uuid4(), "w", 30)])


CHANGES: dict[str, tuple[str, JobState]] = {
    "something else of it": ("items_total = 5", JobState.PENDING),
    "its place": ("priority = 3, scheduled_at = scheduled_at - interval '1 hour'", JobState.PENDING),
    # Another worker had it meanwhile, and gave it up.
    "its state": ("state = 'retrying', attempt = 1", JobState.RETRYING),
}


@pytest.mark.parametrize("by_id", [False, True], ids=["by queue", "by id"])
@pytest.mark.parametrize("change", CHANGES)
async def test_a_job_that_still_waits_is_claimed_as_it_is_now(database: Database, change: str, by_id: bool) -> None:
    made = await put_job(database)
    assignment, state = CHANGES[change]
    claimed = asyncio.create_task(claim(database, made, (made.id,) if by_id else None))

    async with between_snapshot_and_lock(database, claimed) as other:
        await other.driver.execute(f"UPDATE jobs SET {assignment}, version = version + 1")

    (taken,) = await claimed
    assert (taken.moved.job_id, taken.moved.source, taken.job.version) == (made.id, state, 3)
    async with database.connection() as connection:
        row = await factories.row(connection, made)
    assert (row.state, row.token, row.attempt) == ("dispatched", taken.token, 2 if change == "its state" else 1)


@pytest.mark.parametrize("by_id", [False, True], ids=["by queue", "by id"])
async def test_a_job_that_was_taken_meanwhile_is_left_alone(database: Database, by_id: bool) -> None:
    made = await put_job(database)
    claimed = asyncio.create_task(claim(database, made, (made.id,) if by_id else None))

    async with between_snapshot_and_lock(database, claimed) as other:
        await other.driver.execute("UPDATE jobs SET state = 'running', attempt = 1, worker = 'first'")
        before = await factories.whole(other, made)

    assert await claimed == []
    async with database.connection() as connection:
        assert await factories.whole(connection, made) == before


@pytest.mark.parametrize("lock", [transitions.lock_in_order, transitions.lock_free])
async def test_jobs_are_locked_by_their_keys_as_they_are_now(
    database: Database, lock: Callable[..., Awaitable[object]]
) -> None:
    made = await put_job(database)

    async def locked() -> list[Claimed]:
        async with database.transaction() as connection:
            await connection.driver.execute("SET LOCAL test.gated = 'on'")
            await lock(connection, [made.key])
            await connection.driver.execute("UPDATE jobs SET worker = 'second' WHERE worker = 'first'")
        return []

    under_way = asyncio.create_task(locked())
    async with between_snapshot_and_lock(database, under_way) as other:
        await other.driver.execute("UPDATE jobs SET state = 'running', attempt = 1, worker = 'first'")
    await under_way

    async with database.connection() as connection:
        assert (await factories.row(connection, made)).worker == "second"


async def test_jobs_are_locked_in_the_order_of_their_ids(database: Database) -> None:
    """The gate is a lock on the later one: whoever names it first waits for it with the earlier one locked."""
    async with database.transaction() as connection:
        project_id = await factories.project(connection)
        earlier, later = [await factories.job(connection, project_id) for _ in range(2)]
    assert earlier.id < later.id

    async def lock_both() -> None:
        async with database.transaction() as connection:
            await transitions.lock_in_order(connection, [later.key, earlier.key])

    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with database.connection() as watching:
        async with database.transaction() as holder:
            await transitions.lock_in_order(holder, [later.key])
            both = asyncio.create_task(lock_both())
            async with asyncio.timeout(10):
                while not await sql.fetch_value(watching, blocked):
                    await asyncio.sleep(0)
            assert await transitions.lock_free(watching, [earlier.key]) == {earlier.key}
        await both
