"""Deadlines that stand for none are taken from stored jobs in steps, once, and everybody hears of it."""

import asyncio
from typing import Any

import pytest

from app.core import retention
from app.core.rescue import Rescue
from app.core.retention import Retention
from app.db.engine import Database
from app.db.statement import Statement
from app.domain.job import Job
from app.domain.job_filter import JobFilter
from app.live import body_cache
from app.live.change_feed import Change
from app.runtime import Runtime
from app.web.deps import Services
from tests import sql
from tests.calls import PROJECT, completed, create, finish

STAND_INS = ("9999-12-31 23:59:59+00", "9999-12-31 23:59:59.5+00", "infinity")


@pytest.fixture(autouse=True)
def _no_other_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime's own pruner takes none of the steps that a test counts."""
    monkeypatch.setattr(retention, "LOOK_SECONDS", 3_600.0)


async def store(runtime: Runtime, job: Job, expires_at: str) -> None:
    async with runtime.database.transaction() as connection:
        await connection.driver.execute(f"UPDATE jobs SET expires_at = '{expires_at}' WHERE id = $1", job.id)


async def plan(runtime: Runtime, name: str = "deadlines", begins: str = "now()") -> None:
    """Plan a walk, as the migration of a database with jobs in it does."""
    async with runtime.database.transaction() as connection:
        await connection.driver.execute(
            f"INSERT INTO repairs VALUES ('{name}', {begins}, $1, $1)", "00000000-0000-0000-0000-000000000000"
        )


async def test_deadlines_that_stand_for_none_are_taken_away_in_bounded_steps(
    runtime: Runtime,
    core: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "REPAIRED_A_STEP", 3)
    ended, none = [await completed(core) for _ in STAND_INS], await completed(core)
    live, real = [await create(core) for _ in STAND_INS], await create(core)
    for jobs in (ended, live):
        for job, moment in zip(jobs, STAND_INS, strict=True):
            await store(runtime, job, moment)
    await store(runtime, real, "9999-12-31 23:59:58+00")
    await plan(runtime)
    told: list[Change] = []
    steps = [Retention(runtime.database, told.extend) for _ in range(2)]
    # Two processes at once, each with its share of 8 jobs in steps of 3.
    await asyncio.gather(*map(finish, steps))
    await finish(steps[0])

    found = {job.id: job for job in (await core.lists.page(PROJECT, JobFilter())).jobs}
    for before in (*ended, *live):
        after = found[before.id]
        assert (after.expires_at, after.version) == (None, before.version + 1)
        assert (after.updated_at, after.status_changed_at) == (before.updated_at, before.status_changed_at)
    assert found[real.id].expires_at is not None
    assert [found[job.id].version for job in (real, none)] == [real.version, none.version]
    assert sorted(change.key[1] for change in told) == sorted(job.id for job in (*ended, *live))
    async with runtime.database.connection() as connection:
        assert await sql.fetch_value(connection, "SELECT count(*) FROM repairs") == 0


async def test_walk_begins_when_it_is_planned_for_and_costs_no_question_afterwards(
    runtime: Runtime,
    core: Services,
    database: Database,
) -> None:
    """On connections of its own, by which no loop of the runtime asks anything."""
    job = await completed(core)
    await store(runtime, job, STAND_INS[0])
    await plan(runtime, "later", "now() + interval '1 hour'")
    steps = Retention(database, lambda _: None)
    await finish(steps)
    asked: list[Statement[Any, Any]] = []
    steps._database.on_statement = asked.append
    assert not await steps.step()
    assert len(asked) == 1
    assert (await core.jobs.get(PROJECT, job.id)).version == job.version
    async with runtime.database.transaction() as connection:
        await connection.driver.execute("UPDATE repairs SET begins_at = now()")
    await finish(steps)
    assert (await core.jobs.get(PROJECT, job.id)).expires_at is None
    asked.clear()
    assert not await steps.step()
    assert len(asked) == 1


@pytest.mark.parametrize("heard", [True, False])
async def test_body_of_an_ended_job_that_was_mended_is_served_no_longer(
    runtime: Runtime,
    core: Services,
    heard: bool,
) -> None:
    job = await completed(core)
    await store(runtime, job, STAND_INS[0])
    read = [core.jobs.detail(PROJECT, job.id), core.jobs.detail(PROJECT, job.id)]
    assert {one.version for one in await asyncio.gather(*read)} == {job.version}
    await plan(runtime)
    await finish(Retention(runtime.database, runtime.announcer.announce if heard else lambda _: None))
    if not heard:
        # As where the news was lost: a job that has ended is looked at again after a second.
        async with asyncio.timeout(5 * body_cache.FRESH_SECONDS):
            while (await core.jobs.detail(PROJECT, job.id)).version == job.version:
                await asyncio.sleep(0.05)
    found = await core.jobs.detail(PROJECT, job.id)
    assert found.version == job.version + 1
    assert b'"expires_at":null' in found.body


async def test_endless_deadline_that_is_stored_reads_as_none_and_spoils_no_sweep(
    runtime: Runtime,
    core: Services,
) -> None:
    """Clients could store it until this version, and it is there until the walk comes by."""
    endless, late = await create(core), await create(core)
    await store(runtime, endless, "infinity")
    await store(runtime, late, "2026-01-01 00:00:00+00")
    assert (await core.jobs.get(PROJECT, endless.id)).expires_at is None
    await Rescue(runtime.database, lambda _: None).step()
    states: dict[Any, str] = {job.id: job.state for job in (await core.lists.page(PROJECT, JobFilter())).jobs}
    assert states == {endless.id: "pending", late.id: "expired"}
