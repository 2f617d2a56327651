"""Handing out jobs: in which order, to whom, and what never happens."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.db import claimable, claims, tables, transitions
from app.db.claims import Claimed, Slot
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.job import DEFAULT_LEASE_SECONDS, ClaimFilter
from app.domain.states import JobState
from tests import factories, sql
from tests.factories import HOUR


@pytest.fixture
async def project_id(connection: Connection) -> UUID:
    return await factories.project(connection)


async def claim(
    connection: Connection, project_id: UUID, count: int = 100, *, lease: int | None = 30, **wanted: Any
) -> list[Claimed]:
    places = [Slot(uuid4(), "w", lease) for _ in range(count)]
    fitting = ClaimFilter(project_id=project_id, **wanted)
    taken = await claims.claim(connection, fitting, places)
    assert [one.token for one in taken] == [place.token for place in places[: len(taken)]]
    return taken


def ids(taken: Sequence[Claimed]) -> list[UUID]:
    return [one.moved.job_id for one in taken]


async def test_the_best_priority_comes_first_then_who_has_waited_longest(
    connection: Connection, project_id: UUID
) -> None:
    async def put(queue: str, priority: int, ago: float) -> UUID:
        made = await factories.job(connection, project_id, queue=queue, priority=priority, due_in_seconds=-ago)
        return made.id

    fourth = await put("a", 0, 10)
    second = await put("a", 5, 20)
    third = await put("b", 0, 30)
    first = await put("b", 5, 40)
    fifth = await put("c", -1, HOUR)

    assert ids(await claim(connection, project_id, 1)) == [first]
    assert ids(await claim(connection, project_id, 3)) == [second, third, fourth]
    assert ids(await claim(connection, project_id)) == [fifth]
    assert await claim(connection, project_id) == []


async def test_a_claim_fills_the_row_and_the_lease(connection: Connection, project_id: UUID) -> None:
    made = await factories.job(connection, project_id, items=3)

    (taken,) = await claim(connection, project_id, lease=7)

    row = await factories.row(connection, made)
    run = await factories.run_row(connection, made)
    assert (row.state, row.attempt, row.worker, row.token, row.version) == ("dispatched", 1, "w", taken.token, 2)
    assert row.started_at == row.status_changed_at == row.updated_at == taken.moved.now
    assert run
    assert (run.lease_seconds, run.items_count, taken.lease_seconds) == (7, 3, 7)
    assert (run.lease_ends_at - taken.moved.now).total_seconds() == 7


async def test_a_second_attempt_keeps_what_the_run_knows_and_gets_the_checkpoint(
    connection: Connection, project_id: UUID
) -> None:
    made = await factories.job(
        connection, project_id, state=JobState.RETRYING, items=5, run={"version": 4, "items_processed": 2}
    )
    await connection.core.execute(
        tables.checkpoints.insert().values(project_id=project_id, job_id=made.id, checkpoint={"at": 2})
    )
    before = await factories.row(connection, made)

    (taken,) = await claim(connection, project_id)

    row, run = await factories.row(connection, made), await factories.run_row(connection, made)
    assert run
    assert (run.version, run.items_processed, run.items_count) == (4, 2, 5)
    assert (row.attempt, row.started_at, row.version) == (2, before.started_at, before.version + 1)
    assert taken.checkpoint == {"at": 2}
    assert taken.token != made.token


async def test_jobs_not_due_overdue_or_of_others_are_left(connection: Connection, project_id: UUID) -> None:
    other = await factories.project(connection)
    await factories.job(connection, project_id, due_in_seconds=HOUR)
    await factories.job(connection, project_id, expires_at=factories.in_seconds(-1))
    await factories.job(connection, other)
    wanted = await factories.job(connection, project_id, expires_at=factories.in_seconds(HOUR))

    assert ids(await claim(connection, project_id)) == [wanted.id]


async def test_queues_and_types_are_filters(connection: Connection, project_id: UUID) -> None:
    made = {
        (queue, kind): (await factories.job(connection, project_id, queue=queue, type=kind)).id
        for queue in ("a", "b")
        for kind in ("x", "y")
    }

    assert ids(await claim(connection, project_id, queues=("a",), types=("x", "z"))) == [made["a", "x"]]
    assert ids(await claim(connection, project_id, queues=())) == []
    assert ids(await claim(connection, project_id, types=("y",))) == [made["a", "y"], made["b", "y"]]
    assert ids(await claim(connection, project_id, queues=("b",))) == [made["b", "x"]]


async def test_a_paused_queue_hands_out_nothing(connection: Connection, project_id: UUID) -> None:
    await factories.queue(connection, project_id, "paused", paused=True)
    await factories.job(connection, project_id, queue="paused", priority=9)
    open_one = await factories.job(connection, project_id, queue="open")

    wanted = ClaimFilter(project_id=project_id, queues=("paused",))
    assert await claimable.select_claimable(connection, [wanted]) == []
    assert ids(await claim(connection, project_id)) == [open_one.id]


async def test_the_job_of_an_engine_is_only_claimed_by_its_id(connection: Connection, project_id: UUID) -> None:
    made = await factories.job(connection, project_id, engine="celery", type="x")

    assert await claimable.select_claimable(connection, [ClaimFilter(project_id=project_id)]) == []
    filters: tuple[dict[str, Any], ...] = ({}, {"queues": ("default",)}, {"types": ("x",)})
    for wanted in filters:
        assert await claim(connection, project_id, **wanted) == []

    (taken,) = await claim(connection, project_id, lease=None, job_ids=(made.id,))
    assert (taken.moved.job_id, taken.lease_seconds) == (made.id, None)
    run = await factories.run_row(connection, made)
    assert run
    assert run.lease_ends_at is None


async def test_a_job_without_an_engine_always_has_a_lease(connection: Connection, project_id: UUID) -> None:
    made = await factories.job(connection, project_id)
    (taken,) = await claim(connection, project_id, lease=None, job_ids=(made.id,))
    assert taken.lease_seconds == DEFAULT_LEASE_SECONDS


async def test_an_id_of_another_project_is_not_claimed(connection: Connection, project_id: UUID) -> None:
    made = await factories.job(connection, await factories.project(connection))
    before = await factories.whole(connection, made)
    assert await claim(connection, project_id, job_ids=(made.id,)) == []
    assert await factories.whole(connection, made) == before


async def test_offers_name_the_filters_that_some_waiting_job_fits(connection: Connection, project_id: UUID) -> None:
    await factories.job(connection, project_id, queue="a", type="x")
    fitting = [
        ClaimFilter(project_id=project_id),
        ClaimFilter(project_id=project_id, queues=("a", "b")),
        ClaimFilter(project_id=project_id, types=("x",)),
    ]
    others = [
        ClaimFilter(project_id=project_id, queues=("b",)),
        ClaimFilter(project_id=project_id, queues=("a",), types=("y",)),
        ClaimFilter(project_id=await factories.project(connection)),
    ]
    assert await claimable.select_claimable(connection, [*others, *fitting]) == fitting


async def test_an_overdue_job_is_no_offer(connection: Connection, project_id: UUID) -> None:
    """An offer that no claim can take would wake an idle claimer once a second for nothing."""
    await factories.job(connection, project_id, expires_at=factories.in_seconds(-1))
    assert await claimable.select_claimable(connection, [ClaimFilter(project_id=project_id)]) == []


async def test_a_claim_passes_a_job_whose_lock_is_held(database: Database) -> None:
    async with database.transaction() as setting_up:
        project_id = await factories.project(setting_up)
        locked = await factories.job(setting_up, project_id, priority=9)
        free = await factories.job(setting_up, project_id)
    async with database.connection() as claimer:
        async with database.transaction() as holder:
            await transitions.lock_in_order(holder, [locked.key])

            # A claim that waited for the lock would fail with this, and take the best job first.
            await sql.execute(claimer, "SET lock_timeout = '1s'")
            assert ids(await claim(claimer, project_id, 2)) == [free.id]
            assert ids(await claim(claimer, project_id, job_ids=(locked.id,))) == []

        assert ids(await claim(claimer, project_id)) == [locked.id]


async def test_concurrent_claimers_share_the_jobs_without_a_double(database: Database) -> None:
    async with database.transaction() as setting_up:
        project_id = await factories.project(setting_up)
        made = {(await factories.job(setting_up, project_id)).id for _ in range(20)}
    async with database.transaction() as first, database.transaction() as second:
        mine = ids(await claim(first, project_id, 12))
        others = ids(await claim(second, project_id, 12))
    assert len(mine) == 12
    assert set(mine).isdisjoint(others)
    assert set(mine) | set(others) == made
