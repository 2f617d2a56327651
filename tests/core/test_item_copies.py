"""Reruns of jobs with more items than one transaction copies: held back until maintenance has copied the rest."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from app.core import item_copies
from app.core.batches import rerun
from app.core.item_copies import ItemCopies
from app.core.retention import Retention
from app.db import claimable, claims, depths, transitions
from app.db import item_copies as copy_rows
from app.db.engine import Database
from app.domain.audit import Actor
from app.domain.errors import InvalidTransitionError, NotFoundError
from app.domain.idempotency import Idempotency
from app.domain.ids import new_id
from app.domain.job import ClaimFilter, Job
from app.domain.job_filter import JobFilter
from app.domain.principal import Principal, Scope
from app.domain.states import JobState
from app.runtime import Runtime
from app.web.deps import Services
from tests import factories, sql
from tests.calls import PROJECT, claim, count, create, finish
from tests.factories import Made

ITEMS, FAILED, STEP = 35, 27, 10


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small steps, which only the tests take: the service looks once, when it starts, and never again."""
    monkeypatch.setattr(rerun, "MOST_COPIED", STEP)
    monkeypatch.setattr(rerun, "MOST_EXAMINED", 2 * STEP)
    monkeypatch.setattr(item_copies, "LOOK_SECONDS", 3600.0)


@pytest.fixture
def copies(runtime: Runtime, database: Database) -> ItemCopies:
    """Those of another process: with connections of its own, for calls that come while it is at a step."""
    return ItemCopies(database, runtime.announcer.announce)


@pytest_asyncio.fixture
async def original(database: Database) -> AsyncIterator[Made]:
    """An ended job with items, the first of which have failed."""
    yield await ended_job(database)


async def ended_job(database: Database, items: int = ITEMS, failed: int = FAILED) -> Made:
    async with database.transaction() as connection:
        return await factories.job(connection, PROJECT, state=JobState.FAILED, items=items, items_failed=failed)


async def rerun_of(core: Services, original: Made, **how: Any) -> Job:
    return (await core.jobs.rerun(PROJECT, original.id, **how)).job


async def copied(database: Database, job: Job) -> list[tuple[int, str]]:
    async def work(connection: Any) -> list[tuple[int, str]]:
        rows = await sql.fetch(
            connection, "SELECT position, key, status FROM items WHERE job_id = :id ORDER BY position", id=job.id
        )
        assert {row.status for row in rows} <= {"queued"}
        return [(row.position, row.key) for row in rows]

    return await database.read(work)


async def copy_all(*copies: ItemCopies) -> int:
    for steps in range(100):
        if {await one.step() for one in copies} == {item_copies.LOOK_SECONDS}:
            return steps
    raise AssertionError("the copy does not end")


async def is_offered(database: Database, job: Job) -> list[bool]:
    """Whether claims take the job: by queue and by id, of those that wait and of those that look."""
    filters = [ClaimFilter(project_id=PROJECT), ClaimFilter(project_id=PROJECT, job_ids=(job.id,))]
    found = await database.read(claimable.select_claimable, filters)
    offered = [one in found for one in filters]
    for one in filters:
        async with database.connection() as connection:
            undone = connection.driver.transaction()
            await undone.start()
            offered.append(bool(await claims.claim(connection, one, [claims.Slot(new_id(), "w", 30)])))
            await undone.rollback()
    return offered


@pytest.mark.parametrize("only_failed", [False, True])
async def test_rerun_is_held_back_until_all_its_items_are_there(
    runtime: Runtime, core: Services, copies: ItemCopies, original: Made, only_failed: bool
) -> None:
    total = FAILED if only_failed else ITEMS
    job = await rerun_of(core, original, only_failed_items=only_failed)
    assert (job.state, job.counts.total, len(await copied(runtime.database, job))) == (JobState.PENDING, total, STEP)
    while await copies.step() != item_copies.LOOK_SECONDS:
        held = await count(runtime.database, "item_copies")
        assert await is_offered(runtime.database, job) == [not held] * 4
        assert await core.jobs.get(PROJECT, job.id, documents=True) == job
    expected = [(place, f"file-{place}") for place in range(1, total + 1)]
    assert await copied(runtime.database, job) == expected
    assert (await claim(core)).job.id == job.id


@pytest.mark.parametrize(("items", "failed"), [(STEP, 3), (STEP, STEP), (2 * STEP, STEP), (0, 0)])
async def test_rerun_of_what_one_step_holds_can_be_claimed_at_once(
    runtime: Runtime, core: Services, items: int, failed: int
) -> None:
    original = await ended_job(runtime.database, items, failed)
    job = await rerun_of(core, original, only_failed_items=items > STEP)
    assert await count(runtime.database, "item_copies") == 0
    assert await is_offered(runtime.database, job) == [True] * 4
    assert job.counts.total == len(await copied(runtime.database, job)) == min(items, STEP)


async def test_failed_items_are_found_among_more_than_a_step_examines(
    runtime: Runtime, core: Services, copies: ItemCopies
) -> None:
    original = await ended_job(runtime.database, 5 * STEP, 0)
    async with runtime.database.transaction() as connection:
        await sql.execute(connection, "UPDATE items SET status = 'failed' WHERE position IN (1, 45, 50)")
        await sql.execute(connection, "UPDATE jobs SET items_failed = 3")
    job = await rerun_of(core, original, only_failed_items=True)
    assert (job.counts.total, len(await copied(runtime.database, job))) == (3, 1)
    assert await copy_all(copies) == 2
    assert await copied(runtime.database, job) == [(1, "file-1"), (2, "file-45"), (3, "file-50")]


async def test_idle_worker_gets_the_job_when_the_copy_is_done(
    runtime: Runtime, core: Services, copies: ItemCopies, original: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not by the sweep, which finds it a second later.
    monkeypatch.setattr(runtime.idle_claims, "filters", list)
    waiting = asyncio.create_task(claim(core, wait_seconds=20))
    async with asyncio.timeout(10):
        while not len(runtime.idle_claims):
            await asyncio.sleep(0.01)
    job = await rerun_of(core, original)
    await copies.step()
    assert not waiting.done()
    await copy_all(copies)
    async with asyncio.timeout(5):
        assert (await waiting).job.id == job.id


async def test_repeats_while_the_items_are_copied_are_of_the_same_job(
    core: Services, copies: ItemCopies, original: Made
) -> None:
    key = Idempotency("rerun", "a key", b"x")
    job = await rerun_of(core, original, idempotency=key)
    for how in ({}, {"idempotency": key}):
        again = await core.jobs.rerun(PROJECT, original.id, **how)  # type: ignore[arg-type]
        assert (again.job, again.replayed) == (job, True)
    with pytest.raises(InvalidTransitionError):
        await rerun_of(core, original, only_failed_items=True)
    with pytest.raises(InvalidTransitionError):
        await core.jobs.rerun(PROJECT, job.id)
    await copy_all(copies)
    assert await rerun_of(core, original, idempotency=key) == job


async def test_call_about_many_jobs_leaves_their_items_to_maintenance(
    runtime: Runtime, core: Services, copies: ItemCopies, original: Made
) -> None:
    other = await ended_job(runtime.database)
    actor = Actor(Principal(PROJECT, "k", "admin", frozenset({Scope.ADMIN})))
    done = await core.bulk.rerun(actor, JobFilter(states=frozenset({JobState.FAILED})))
    assert (done.value.changed, await count(runtime.database, "item_copies")) == (2, 2)
    # In turns.
    await copies.step()
    await copies.step()
    sizes = "SELECT count(*) AS n FROM items WHERE job_id <> ALL (:originals) GROUP BY job_id"
    async with runtime.database.connection() as connection:
        rows = await sql.fetch(connection, sizes, originals=[original.id, other.id])
    assert [row.n for row in rows] == [2 * STEP] * 2
    await copy_all(copies)
    assert await count(runtime.database, "items") == 4 * ITEMS


@pytest.mark.parametrize("ended_by", ["cancel", "deadline"])
async def test_end_of_the_rerun_ends_the_copy_and_keeps_what_was_copied(
    runtime: Runtime, core: Services, copies: ItemCopies, original: Made, ended_by: str
) -> None:
    job = await rerun_of(core, original)
    await copies.step()
    if ended_by == "cancel":
        await core.jobs.cancel(PROJECT, job.id, by=None)
    else:
        async with runtime.database.transaction() as connection:
            await transitions.lock_in_order(connection, [job.ref])
            await sql.execute(connection, "UPDATE jobs SET expires_at = now() WHERE id = :id", id=job.id)
        async with asyncio.timeout(10):
            while (await core.jobs.get(PROJECT, job.id)).state is not JobState.EXPIRED:
                await asyncio.sleep(0.05)
    ended = await core.jobs.get(PROJECT, job.id)
    await copy_all(copies)
    assert await count(runtime.database, "item_copies") == 0
    assert [key for _, key in await copied(runtime.database, job)] == [f"file-{n}" for n in range(1, 2 * STEP + 1)]
    assert await core.jobs.get(PROJECT, job.id) == ended
    assert ended.counts.total == ITEMS
    page = await core.items.page(PROJECT, job.id, limit=100)
    assert {item.status for item in page.items} == {"cancelled"}


async def test_rerun_that_ends_during_a_step_gets_no_items_of_it(
    runtime: Runtime, core: Services, copies: ItemCopies, original: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await rerun_of(core, original)
    copy_some = copy_rows.copy_some

    async def cancelled_meanwhile(*args: Any, **how: Any) -> Any:
        copy = await copy_some(*args, **how)
        await core.jobs.cancel(PROJECT, job.id, by=None)
        await core.jobs.delete(PROJECT, job.id)
        await finish(Retention(runtime.database, lambda _: None))
        return copy

    monkeypatch.setattr(copy_rows, "copy_some", cancelled_meanwhile)
    await copy_all(copies)
    assert await copied(runtime.database, job) == []
    assert [await count(runtime.database, table) for table in ("item_copies", "deletions")] == [0, 0]


async def test_deleted_original_is_gone_for_readers_and_copied_to_its_end(
    runtime: Runtime, core: Services, copies: ItemCopies, original: Made
) -> None:
    job = await rerun_of(core, original)
    await core.jobs.delete(PROJECT, original.id)
    retention = Retention(runtime.database, lambda _: None)
    await finish(retention)
    with pytest.raises(NotFoundError):
        await core.items.page(PROJECT, original.id)
    await copy_all(copies)
    assert [key for _, key in await copied(runtime.database, job)] == [f"file-{n}" for n in range(1, ITEMS + 1)]
    await finish(retention)
    assert await count(runtime.database, "items") == ITEMS
    assert await count(runtime.database, "deletions") == 0


async def test_deleted_rerun_keeps_nothing_of_its_original(
    runtime: Runtime, core: Services, copies: ItemCopies, original: Made
) -> None:
    job = await rerun_of(core, original)
    await core.jobs.delete(PROJECT, original.id)
    await core.jobs.cancel(PROJECT, job.id, by=None)
    await core.jobs.delete(PROJECT, job.id)
    await copy_all(copies)
    await finish(Retention(runtime.database, lambda _: None))
    assert [await count(runtime.database, table) for table in ("item_copies", "deletions", "items")] == [0, 0, 0]


async def test_two_processes_copy_every_item_once(runtime: Runtime, core: Services, original: Made) -> None:
    jobs = [await rerun_of(core, original), await rerun_of(core, await ended_job(runtime.database))]
    each = [ItemCopies(runtime.database, runtime.announcer.announce) for _ in range(2)]
    await asyncio.gather(*(copy_all(one) for one in each))
    await copy_all(*each)
    for job in jobs:
        assert await copied(runtime.database, job) == [(n, f"file-{n}") for n in range(1, ITEMS + 1)]


async def test_locked_rerun_is_counted_and_holds_no_other_up(runtime: Runtime, core: Services, original: Made) -> None:
    busy: list[tuple[str, int]] = []
    copies = ItemCopies(runtime.database, runtime.announcer.announce, lambda *count: busy.append(count))
    locked = await rerun_of(core, original)
    other = await rerun_of(core, await ended_job(runtime.database))
    async with runtime.database.transaction() as connection:
        await transitions.lock_in_order(connection, [locked.ref])
        for _ in range(10):
            await copies.step()
        assert [await is_offered(runtime.database, job) for job in (locked, other)] == [[True, False] * 2, [True] * 4]
        assert len(await copied(runtime.database, locked)) == STEP
    assert set(busy) == {("item copies", 1)}
    await copy_all(copies)
    assert len(await copied(runtime.database, locked)) == ITEMS


async def test_rerun_that_is_held_back_is_not_the_oldest_that_waits(
    runtime: Runtime, core: Services, copies: ItemCopies, original: Made
) -> None:
    await rerun_of(core, original)
    (depth,) = (await runtime.database.read(depths.select_depths)).values()
    assert (depth.by_state, depth.oldest_waiting_seconds) == ({JobState.PENDING: 1}, None)
    await copy_all(copies)
    (depth,) = (await runtime.database.read(depths.select_depths)).values()
    assert depth.oldest_waiting_seconds is not None


async def test_held_back_rerun_hides_no_other_job(core: Services, original: Made) -> None:
    await rerun_of(core, original)
    other = await create(core)
    assert (await claim(core)).job.id == other.id
