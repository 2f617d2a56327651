"""How long ended jobs are kept: by their queue, else by the service, and for ever where it is older than that."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.cli.database import kept_jobs
from app.core import aging
from app.core.retention import Retention
from app.db import migrate
from app.db.engine import Database, make_engine
from app.domain.ids import new_id
from app.domain.job_filter import JobFilter
from app.domain.queue import Keeping
from app.domain.states import GAVE_UP, LIVE, TERMINAL, JobState
from app.runtime import Runtime
from tests import factories, sql
from tests.calls import finish

CreateDatabase = Callable[..., Awaitable[str]]
DAY = 86_400.0
SET = Keeping(is_set=True)


async def ended(database: Database, project: Any, state: JobState, days: float, **columns: Any) -> Any:
    """A job that ended so many days ago."""
    async with database.transaction() as connection:
        at = factories.in_seconds(-days * DAY)
        return (await factories.job(connection, project, state=state, completed_at=at, **columns)).id


async def left(database: Database) -> set[Any]:
    async with database.connection() as connection:
        return {row.id for row in await sql.fetch(connection, "SELECT id FROM jobs")}


async def prune(database: Database, keeping: Keeping) -> None:
    await finish(Retention(database, lambda _: None, keeping=keeping))


async def new_project(database: Database) -> Any:
    async with database.transaction() as connection:
        return await factories.project(connection)


async def test_those_that_gave_up_are_kept_for_a_time_of_their_own(database: Database) -> None:
    project = await new_project(database)
    kept, gone = set(), set()
    for state in sorted(TERMINAL):
        days = 90 if state in GAVE_UP else 30
        kept.add(await ended(database, project, state, days - 1))
        gone.add(await ended(database, project, state, days + 1))

    with capture_logs() as lines:
        await prune(database, Keeping())

    assert await left(database) == kept
    told = [line for line in lines if line["event"] == "deleted a job that is kept no longer"]
    assert {line["job_id"] for line in told} == set(map(str, gone))
    assert {(line["queue"], line["worker"], line["log_level"]) for line in told} == {("default", "a worker", "info")}


async def test_rule_of_a_queue_goes_before_the_service_s(database: Database) -> None:
    project = await new_project(database)
    rules: dict[str, tuple[int | None, int | None]] = {
        "for-ever": (0, 0),
        "short": (60, 3600),
        "failed-alone": (None, 60),
        "default": (None, None),
    }
    async with database.transaction() as connection:
        for name, (seconds, failed) in rules.items():
            await factories.queue(connection, project, name, retention_seconds=seconds, retention_failed_seconds=failed)
    found = {
        (name, state, days): await ended(database, project, state, days, queue=name)
        for name in rules
        for state in (JobState.COMPLETED, JobState.EXPIRED)
        for days in (0.01, 1, 31, 91)
    }

    await prune(database, Keeping())

    completed, expired = JobState.COMPLETED, JobState.EXPIRED
    kept = {(name, state, days) for (name, state, days), job in found.items() if job in await left(database)}
    assert kept == {
        *(("for-ever", state, days) for state in (completed, expired) for days in (0.01, 1, 31, 91)),
        ("short", expired, 0.01),
        *(("failed-alone", completed, days) for days in (0.01, 1)),
        *(("default", completed, days) for days in (0.01, 1)),
        *(("default", expired, days) for days in (0.01, 1, 31)),
    }


async def test_walk_passes_by_every_queue_of_every_project(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aging, "LANES_A_STEP", 2)
    monkeypatch.setattr(aging, "JOBS_A_STEP", 3)
    kept = set()
    for _ in range(2):
        project = await new_project(database)
        for n in range(3):
            for state in (JobState.COMPLETED, JobState.FAILED):
                kept.add(await ended(database, project, state, 1, queue=f"q{n}"))
                for _ in range(4):
                    await ended(database, project, state, 99, queue=f"q{n}")
    async with database.transaction() as connection:
        # Deleted, with its rules; its ended jobs stayed.
        await sql.execute(connection, "DELETE FROM queues WHERE name = 'q1'")

    await prune(database, Keeping())

    assert await left(database) == kept


async def test_locked_jobs_hide_no_others(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aging, "JOBS_A_STEP", 2)
    monkeypatch.setattr(aging, "WALK_EVERY_SECONDS", 0.0)
    project = await new_project(database)
    busy = [await ended(database, project, JobState.COMPLETED, 100) for _ in range(4)]
    free = await ended(database, project, JobState.COMPLETED, 50)
    steps = Retention(database, lambda _: None, keeping=Keeping())
    async with database.transaction() as connection:
        await sql.execute(connection, "SELECT FROM jobs WHERE id = ANY (:ids) FOR UPDATE", ids=busy)
        for _ in range(3):
            await finish(steps)
        assert free not in await left(database)
    await finish(steps)
    assert await left(database) == set()


async def test_zero_keeps_for_ever(database: Database) -> None:
    project = await new_project(database)
    jobs = {state: await ended(database, project, state, 9_999) for state in (JobState.COMPLETED, JobState.FAILED)}
    await prune(database, Keeping(0, 0, is_set=True))
    assert await left(database) == set(jobs.values())
    await prune(database, Keeping(failed_seconds=0, is_set=True))
    assert await left(database) == {jobs[JobState.FAILED]}


@pytest.fixture
async def old_url(create_database: CreateDatabase) -> str:
    """A database of the version before these times, which has to be upgraded."""
    url = await create_database(migrated=False)
    await asyncio.to_thread(migrate.upgrade, url, "0009")
    return url


async def test_upgraded_database_keeps_every_ended_job_until_a_time_is_set(old_url: str) -> None:
    database = Database(make_engine(old_url, pool_size=4))
    project = await new_project(database)
    jobs = [await ended(database, project, state, days) for state in sorted(TERMINAL) for days in (1, 45, 999)]
    async with database.transaction() as connection:
        jobs += [(await factories.job(connection, project, state=state)).id for state in sorted(LIVE)]
    await asyncio.to_thread(migrate.upgrade, old_url)

    runtime = Runtime(old_url, keeping=Keeping())
    await runtime.start()
    await prune(database, Keeping())
    found = (await runtime.services.lists.page(project, JobFilter(), limit=100)).jobs
    await runtime.stop()

    assert {job.id for job in found} == set(jobs)
    sentence = await asyncio.to_thread(kept_jobs, old_url, Keeping())
    assert sentence
    assert "JOBTRACK_KEEP_DAYS or JOBTRACK_KEEP_FAILED_DAYS" in sentence
    # Of each state the one of 999 days, and of three states that of 45.
    assert sentence.endswith("30 days and 90 for those that failed or expired, would delete 8 ended jobs")
    assert await asyncio.to_thread(kept_jobs, old_url, SET) is None

    await prune(database, SET)
    assert len(await left(database)) == len(jobs) - 8
    await database.close()


async def test_upgraded_queue_keeps_as_long_as_before_whatever_the_end(old_url: str) -> None:
    database = Database(make_engine(old_url, pool_size=2))
    project = await new_project(database)
    async with database.transaction() as connection:
        await factories.queue(connection, project, "default", retention_seconds=3600)
    for state in (JobState.COMPLETED, JobState.FAILED):
        await ended(database, project, state, 1)
    await asyncio.to_thread(migrate.upgrade, old_url)
    await prune(database, Keeping())
    assert await left(database) == set()
    await database.close()


async def test_database_without_ended_jobs_follows_the_service_from_the_upgrade_on(old_url: str) -> None:
    database = Database(make_engine(old_url, pool_size=2))
    project = await new_project(database)
    async with database.transaction() as connection:
        live = (await factories.job(connection, project, id=new_id())).id
    await asyncio.to_thread(migrate.upgrade, old_url)
    await ended(database, project, JobState.COMPLETED, 31)
    assert await asyncio.to_thread(kept_jobs, old_url, Keeping()) is None
    await prune(database, Keeping())
    assert await left(database) == {live}
    await database.close()
