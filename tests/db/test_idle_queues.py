"""What a claim, a count and a look cost does not depend on how many queue names there ever were, and a claim holds up
nobody but those who want the same jobs. Counted are the rows and pages that PostgreSQL reads, and the rows it locks.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from app.db import aged, claimable, claims, deletions, depths, limits, queues
from app.db.claims import Slot
from app.db.connection import Connection
from app.db.engine import Database, make_engine
from app.domain.job import ClaimFilter
from app.domain.states import JobState
from tests import factories
from tests.db.explained import Explained, Reading, nodes
from tests.db.used_tables import JOBS, PROJECT

DEEPER = 2
"""Pages of a look-up in an index of tens of thousands of entries, for one in an index of a few."""
IDLE = """
    INSERT INTO queues (project_id, name, created_at, updated_at)
    SELECT '{project}', 'idle-' || n, now(), now() FROM generate_series(1, {count}) n;
    INSERT INTO jobs (project_id, id, type, queue, state, priority, attempt, max_attempts, retry_delay_seconds,
                      retry_factor, retry_max_delay_seconds, labels, version, progress, items_total, items_processed,
                      items_failed, items_skipped, created_at, updated_at, status_changed_at, scheduled_at,
                      completed_at)
    SELECT '{project}', gen_random_uuid(), 'type-' || n, 'idle-' || n, 'completed', 0, 1, 3, 1, 2, 600, '{{}}', 1, 0, 0,
           0, 0, 0, now(), now(), now(), now(), now() FROM generate_series(1, {count}) n
"""
WAITING = JOBS.replace("'q' || 2 + n % 2", "'q' || n % {queues}").replace(
    "WHEN n % 200 = 0 THEN 'q1'", "WHEN false THEN ''"
)


@pytest_asyncio.fixture
async def database(create_database: Callable[..., Awaitable[str]]) -> AsyncIterator[Database]:
    """A database of the test's own, planned for as the service plans."""
    opened = Database(make_engine(await create_database(), pool_size=4, prepared=True))
    yield opened
    await opened.close()


async def put_waiting(connection: Connection, count: int, queues: int) -> None:
    statement = WAITING.format(project=PROJECT, state="pending", count=count, queues=queues)
    await connection.driver.execute(statement)


def slots(count: int) -> list[Slot]:
    return [Slot(uuid4(), "w", 30) for _ in range(count)]


async def use_all(connection: Connection) -> None:
    """Everything that looks for queues without being told their names, and a page of them."""
    every, typed = ClaimFilter(project_id=PROJECT), ClaimFilter(project_id=PROJECT, types=("work", "absent"))
    absent = ClaimFilter(project_id=PROJECT, types=("absent",))
    named = ClaimFilter(project_id=PROJECT, types=("work",), queues=("q1", "idle-7"))
    assert await claimable.select_claimable(connection, [absent, every, typed, named]) == [every, typed, named]
    assert len(await claims.claim(connection, every, slots(10))) == 10
    assert len(await claims.claim(connection, typed, slots(10))) == 10
    assert not await claims.claim(connection, absent, slots(10))
    await limits.select_limited(connection, [PROJECT])
    assert await limits.lock_limited(connection, every) == {"limited": 5}
    assert len(await depths.select_depths(connection)) == 4
    names = [queue.name for queue in await queues.select_page(connection, PROJECT, after="", limit=20)]
    assert set(await depths.select_depths_of(connection, PROJECT, [*names, "q1"])) >= {"q1"}
    await aged.select_by_rule(connection, 10)
    await deletions.select_anything(connection, age=timedelta(hours=1))


async def read(connection: Connection) -> dict[str, Reading]:
    explained = Explained(connection)
    undone = connection.driver.transaction()
    await undone.start()
    await use_all(explained)
    await undone.rollback()
    await explained.forget()
    return explained.read


def scans(plan: dict[str, Any]) -> list[str]:
    """The scans of tables in a plan."""
    return [
        f"{node['Shared Hit Blocks'] + node['Shared Read Blocks']} pages of {node.get('Index Name')}"
        for node in nodes(plan)
        if "Relation Name" in node and "Scan" in node["Node Type"]
    ]


@pytest.mark.parametrize("names", [3_000, pytest.param(50_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("analysed", [False, True])
async def test_idle_names_cost_nothing(database: Database, names: int, analysed: bool) -> None:
    async with database.connection() as connection:
        await put_waiting(connection, 120, queues=4)
        await factories.queue(connection, PROJECT, "limited", concurrency_limit=5)
        await connection.driver.execute(IDLE.format(project=PROJECT, count=20))
        before = await read(connection)
        await connection.driver.execute(IDLE.replace("'idle-'", "'idle-more-'").format(project=PROJECT, count=names))
        if analysed:
            await connection.driver.execute("ANALYZE")
        after = await read(connection)

    more = {
        name: (before[name], after[name])
        for name in before
        if after[name].rows > before[name].rows or after[name].pages > DEEPER * before[name].pages + 5
    }
    assert not more, "\n".join(
        f"{name}: {few!s:.25}, then {many!s:.25}: {scans(many.plan)}" for name, (few, many) in more.items()
    )
    assert {"claims.CLAIM_BY_QUEUE", "claims.CLAIM_BY_TYPE", "depths.DEPTHS", "limits.LOCK_LIMITED"} <= set(before)


async def test_a_claim_by_type_does_not_walk_the_backlog_of_other_types(database: Database) -> None:
    async with database.connection() as connection:
        await put_waiting(connection, 20_000, queues=1)
        await factories.job(connection, PROJECT, queue="q0", type="rare")
        explained = Explained(connection)
        for claim_filter in (
            ClaimFilter(project_id=PROJECT, types=("rare",)),
            ClaimFilter(project_id=PROJECT, types=("rare",), queues=("q0",)),
        ):
            assert await claimable.select_claimable(explained, [claim_filter]) == [claim_filter]
            undone = connection.driver.transaction()
            await undone.start()
            assert len(await claims.claim(explained, claim_filter, slots(5))) == 1
            await undone.rollback()

    assert {name: reading.rows for name, reading in explained.read.items() if reading.rows > 60} == {}


async def free_rows(database: Database) -> int:
    """How many waiting jobs another transaction could lock just now."""
    async with database.connection() as other:
        counted: int = await other.driver.fetchval(
            "SELECT count(*) FROM (SELECT FROM jobs WHERE state = 'pending' FOR UPDATE SKIP LOCKED) j"
        )
        return counted


@pytest.mark.parametrize("most", [1, 20])
@pytest.mark.parametrize("wanted", [{}, {"types": ("work",)}])
async def test_a_claim_over_many_queues_locks_what_it_takes_and_others_get_theirs(
    database: Database, most: int, wanted: dict[str, Any]
) -> None:
    jobs, claimers = 2_000, 3
    claim_filter = ClaimFilter(project_id=PROJECT, **wanted)
    async with database.connection() as first, database.connection() as second, database.connection() as third:
        await put_waiting(first, jobs, queues=200)
        taken = set()
        began = []
        for number, connection in enumerate((first, second, third), start=1):
            transaction = connection.driver.transaction()
            await transaction.start()
            began.append(transaction)
            taken |= {claim.moved.job_id for claim in await claims.claim(connection, claim_filter, slots(most))}
            assert len(taken) == number * most
            if number < claimers:
                assert jobs - await free_rows(database) <= 2 * number * most
        for transaction in began:
            await transaction.rollback()


async def test_a_claim_finds_the_last_free_jobs_in_the_lanes_behind_those_that_are_held(database: Database) -> None:
    """Thirty queues with one job each: whoever holds the most urgent does not hide the rest."""
    claim_filter = ClaimFilter(project_id=PROJECT)
    async with database.connection() as first, database.connection() as second:
        await put_waiting(first, 30, queues=30)
        transaction = first.driver.transaction()
        await transaction.start()
        assert len(await claims.claim(first, claim_filter, slots(29))) == 29
        transaction_of_second = second.driver.transaction()
        await transaction_of_second.start()
        assert len(await claims.claim(second, claim_filter, slots(1))) == 1
        await transaction_of_second.rollback()
        await transaction.rollback()


async def test_the_most_urgent_of_all_queues_come_first(database: Database) -> None:
    async with database.connection() as connection:
        await put_waiting(connection, 600, queues=12)
        await connection.driver.execute("UPDATE jobs SET priority = (hashtext(id::text) % 50)")
        ranked = await connection.driver.fetch("SELECT id FROM jobs ORDER BY priority DESC, scheduled_at, id LIMIT 100")
        for wanted in ({}, {"types": ("work",)}, {"queues": tuple(f"q{n}" for n in range(12))}):
            undone = connection.driver.transaction()
            await undone.start()
            taken = await claims.claim(connection, ClaimFilter(project_id=PROJECT, **wanted), slots(100))
            assert [claim.moved.job_id for claim in taken] == [row[0] for row in ranked]
            await undone.rollback()


async def test_jobs_of_a_queue_without_a_row_are_handed_out_and_counted(connection: Connection) -> None:
    """A row may be pruned at the moment in which a job comes: the queue has the defaults then."""
    project_id = await factories.project(connection)
    made = await factories.job(connection, project_id, queue="gone")
    await connection.driver.execute("DELETE FROM queues WHERE project_id = $1", project_id)
    every, named = ClaimFilter(project_id=project_id), ClaimFilter(project_id=project_id, queues=("gone",))

    assert await claimable.select_claimable(connection, [every, named]) == [every, named]
    assert (await depths.select_depths(connection))[project_id, "gone"].by_state == {JobState.PENDING: 1}
    (taken,) = await claims.claim(connection, every, slots(5))
    assert taken.moved.job_id == made.id
