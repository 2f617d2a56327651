"""A job whose attempt takes longer than expected: marked once, and until the next attempt."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.core.rescue import Rescue
from app.db import overdue
from app.db.engine import Database
from app.domain.audit import Actor
from app.domain.ids import new_id
from app.domain.item import Counts
from app.domain.job import Job, JobRef, NewJob
from app.domain.queue import QueueRules
from app.domain.states import GAVE_UP, LEASED, TERMINAL, JobState
from app.domain.worker_call import Complete, Fail, Release, Report
from app.live.change_feed import Change
from app.runtime import Runtime
from app.web.deps import Services
from tests import factories, sql
from tests.calls import PROJECT, claim, create, held

PATIENCE = 10.0


async def make_late(database: Database, job_id: Any) -> None:
    async with database.transaction() as connection:
        await sql.execute(
            connection, "UPDATE jobs SET expected_end_at = now() - interval '1 second' WHERE id = :id", id=job_id
        )


async def until_overdue(core: Services, job_id: Any, *, expected: bool = True) -> Job:
    async with asyncio.timeout(PATIENCE):
        while (job := await core.jobs.get(PROJECT, job_id)).overdue is not expected:
            await asyncio.sleep(0.02)
    return job


async def events(database: Database, job_id: Any) -> list[Any]:
    async with database.connection() as connection:
        statement = "SELECT * FROM events WHERE job_id = :id AND type = 'job.overdue' ORDER BY id"
        return list(await sql.fetch(connection, statement, id=job_id))


async def test_attempt_is_marked_when_it_takes_longer_than_expected(runtime: Runtime, core: Services) -> None:
    job = await create(core, expected_seconds=1)
    claimed = await claim(core)
    assert (claimed.job.expected_seconds, claimed.job.overdue) == (1, False)

    seen = await until_overdue(core, job.id)

    assert seen.version == claimed.job.version + 1
    assert (seen.state, seen.counts) == (JobState.DISPATCHED, Counts())
    (event,) = await events(runtime.database, job.id)
    assert (event.attempt, event.worker, event.from_state, event.to_state) == (1, "w", "dispatched", "dispatched")
    assert event.data == {"expected_seconds": 1}


async def test_job_is_marked_once_however_many_look(database: Database) -> None:
    async with database.transaction() as connection:
        project = await factories.project(connection)
        late = {
            state: await factories.job(
                connection, project, state=state, expected_seconds=5, expected_end_at=factories.in_seconds(-1)
            )
            for state in sorted(LEASED)
        }
        early = await factories.job(
            connection, project, state=JobState.RUNNING, expected_seconds=5, expected_end_at=factories.in_seconds(99)
        )
        waiting = await factories.job(
            connection, project, state=JobState.RETRYING, expected_end_at=factories.in_seconds(-1)
        )
        before = {made.id: await factories.row(connection, made) for made in (*late.values(), early, waiting)}
    told: list[Change] = []
    looks = [Rescue(database, told.extend) for _ in range(3)]
    with capture_logs() as lines:
        for _ in range(2):
            await asyncio.gather(*(look.step() for look in looks))

    async with database.connection() as connection:
        for made in late.values():
            row, was = await factories.row(connection, made), before[made.id]
            assert (row.overdue, row.version) == (True, was.version + 1)
            assert row.updated_at > was.updated_at
        for made in (early, waiting):
            assert await factories.row(connection, made) == before[made.id]
    assert sorted(change.key for change in told) == sorted(JobRef(project, made.id) for made in late.values())
    lines = [line for line in lines if line["event"] == "takes longer than expected"]
    assert {(line["job_id"], line["worker"]) for line in lines} == {(str(m.id), "a worker") for m in late.values()}
    assert len(lines) == len(late)
    for made in late.values():
        assert len(await events(database, made.id)) == 1


async def test_what_has_changed_since_the_look_is_not_marked(database: Database) -> None:
    at = factories.in_seconds(-1)
    async with database.transaction() as connection:
        project = await factories.project(connection)
        made = [
            await factories.job(connection, project, state=JobState.RUNNING, expected_end_at=at),
            await factories.job(connection, project, state=JobState.COMPLETED, expected_end_at=at),
            await factories.job(connection, project, state=JobState.PENDING, expected_end_at=at),
            await factories.job(connection, project, state=JobState.RUNNING, expected_end_at=factories.in_seconds(60)),
        ]
    refs = [job.key for job in made]
    assert [job.ref for job in await database.write(overdue.mark, refs)] == refs[:1]
    assert await database.write(overdue.mark, refs) == []


async def test_next_attempt_clears_the_mark_and_may_get_its_own(runtime: Runtime, core: Services) -> None:
    job = await create(core, expected_seconds=600)
    claimed = await claim(core)
    await make_late(runtime.database, job.id)
    await until_overdue(core, job.id)

    await core.leases.submit(Release(**held(claimed)))
    assert (await core.jobs.get(PROJECT, job.id)).overdue, "until somebody takes it"
    claimed = await claim(core)
    assert not claimed.job.overdue
    await make_late(runtime.database, job.id)
    await until_overdue(core, job.id)
    assert len(await events(runtime.database, job.id)) == 2


@pytest.mark.parametrize("fails", [False, True])
async def test_ended_job_keeps_what_it_had(runtime: Runtime, core: Services, fails: bool) -> None:
    jobs = [await create(core, expected_seconds=600) for _ in range(2)]
    claims = [await claim(core) for _ in jobs]
    await make_late(runtime.database, jobs[0].id)
    await until_overdue(core, jobs[0].id)
    for claimed in claims:
        ending = {"code": "c", "message": "m", "retryable": False}
        await core.leases.submit(Fail(**held(claimed), **ending) if fails else Complete(**held(claimed)))  # type: ignore[arg-type]
    ended = [await core.jobs.get(PROJECT, job.id) for job in jobs]
    assert [job.overdue for job in ended] == [True, False]
    assert all(job.state in (GAVE_UP if fails else TERMINAL) for job in ended)


async def test_worker_that_comes_back_is_measured_from_the_attempt_s_start(runtime: Runtime, core: Services) -> None:
    job = await create(core, expected_seconds=600)
    claimed = await claim(core)
    async with runtime.database.transaction() as connection:
        await sql.execute(connection, "UPDATE runs SET lease_ends_at = now() - interval '1 second'")
    async with asyncio.timeout(PATIENCE):
        while (await core.jobs.get(PROJECT, job.id)).state is not JobState.RETRYING:
            await asyncio.sleep(0.02)
    await make_late(runtime.database, job.id)
    await core.leases.submit(Report(**held(claimed), progress=5))
    assert (await until_overdue(core, job.id)).attempt == 1


async def test_queue_says_what_a_job_does_not_and_a_rerun_keeps_it(core: Services) -> None:
    key = await core.keys.install_first(None)
    assert key is not None
    principal = await core.keys.authenticate(key, "a")
    await core.queues.put(Actor(principal), "q", QueueRules(expected_seconds=60))
    project = principal.project_id

    async def made(**fields: Any) -> Job:
        return (await core.jobs.create(project, NewJob(id=new_id(), type="t", **fields))).job

    of_queue, own, none = await made(queue="q"), await made(queue="q", expected_seconds=7), await made(queue="other")
    assert [job.expected_seconds for job in (of_queue, own, none)] == [60, 7, None]
    for job in (of_queue, own, none):
        assert await core.jobs.get(project, job.id) == job or job.documents is not None
        await core.jobs.cancel(project, job.id, by=None)
    await core.queues.put(Actor(principal), "q", QueueRules(expected_seconds=99))
    reruns = [(await core.jobs.rerun(project, job.id)).job for job in (of_queue, own, none)]
    assert [job.expected_seconds for job in reruns] == [60, 7, None]
