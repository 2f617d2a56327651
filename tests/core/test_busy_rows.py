"""One row that somebody has locked holds nobody else up, and is dealt with when it is free."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.core import rescue as module
from app.core.rescue import Rescue
from app.core.retention import Retention
from app.db import aged
from app.db.engine import Database
from app.domain.audit import Actor
from app.domain.errors import UnavailableError
from app.domain.ids import new_id
from app.domain.job import ClaimFilter
from app.domain.job_filter import JobFilter
from app.domain.principal import Principal, Scope
from app.domain.states import JobState
from app.runtime import Runtime
from app.web.deps import Services
from tests import factories, sql
from tests.calls import PROJECT, completed, count, create
from tests.factories import Made

ADMIN = Actor(Principal(PROJECT, "k", "admin", frozenset(Scope)), None)


@asynccontextmanager
async def locked(database: Database, *jobs: Any) -> AsyncIterator[None]:
    async with database.transaction() as connection:
        await sql.execute(connection, "SELECT FROM jobs WHERE id = ANY (:ids) FOR UPDATE", ids=[j.id for j in jobs])
        yield


async def states(database: Database, jobs: Sequence[Made]) -> list[str]:
    async with database.connection() as connection:
        return [(await factories.row(connection, made)).state for made in jobs]


@pytest.fixture
async def lapsed(database: Database) -> list[Made]:
    """Five held jobs whose leases have lapsed, while the leases were being looked at."""
    async with database.transaction() as connection:
        project_id = await factories.project(connection)
        await sql.execute(connection, "UPDATE looks SET seen_at = statement_timestamp()")
        return [
            await factories.job(connection, project_id, state=JobState.RUNNING, lease_left_seconds=-10)
            for _ in range(5)
        ]


@pytest.mark.parametrize("batch", [500, 2], ids=["all in one batch", "as many locked as a batch holds"])
async def test_leases_beside_locked_jobs_are_swept(
    database: Database, lapsed: list[Made], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", batch)
    skipped: list[tuple[str, int]] = []
    looking = Rescue(database, lambda _: None, lambda *busy: skipped.append(busy))
    async with locked(database, *lapsed[:2]):
        for _ in range(4):
            await looking.step()
        assert await states(database, lapsed) == ["running"] * 2 + ["retrying"] * 3
    assert skipped[0] == ("rescue", 2)
    await looking.step()
    assert await states(database, lapsed) == ["retrying"] * 5


async def test_aged_jobs_beside_a_locked_one_go(runtime: Runtime, core: Services) -> None:
    old = [await completed(core, queue="q") for _ in range(3)]
    async with runtime.database.transaction() as connection:
        await sql.execute(connection, "UPDATE queues SET retention_seconds = 1 WHERE name = 'q'")
        await sql.execute(connection, "UPDATE jobs SET completed_at = now() - interval '1 hour'")
    skipped: list[tuple[str, int]] = []
    steps = Retention(runtime.database, lambda _: None, lambda *busy: skipped.append(busy))
    async with locked(runtime.database, old[1]):
        await steps.step()
        assert await count(runtime.database, "jobs") == 1
    assert skipped == [("retention", 1)]
    await steps.step()
    assert await count(runtime.database, "jobs") == 0


async def test_each_part_of_retention_fails_alone(
    runtime: Runtime, core: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await completed(core, queue="q")
    async with runtime.database.transaction() as connection:
        await sql.execute(connection, "UPDATE queues SET retention_seconds = 1")
        await sql.execute(connection, "UPDATE jobs SET completed_at = now() - interval '1 hour'")
        await sql.execute(
            connection,
            "INSERT INTO idempotency_records (project_id, route, key, fingerprint, status, created_at) "
            "VALUES (:project, 'r', 'k', '', 200, now() - interval '25 hours')",
            project=PROJECT,
        )

    async def fail(*_: Any) -> Any:
        raise UnavailableError("locked")

    monkeypatch.setattr(aged, "select_by_rule", fail)
    await Retention(runtime.database, lambda _: None).step()
    assert await count(runtime.database, "idempotency_records") == 0


async def test_bulk_cancel_leaves_out_what_is_locked_and_counts_it(runtime: Runtime, core: Services) -> None:
    jobs = [await create(core) for _ in range(3)]
    async with locked(runtime.database, jobs[1]):
        outcome = (await core.bulk.cancel(ADMIN, JobFilter(types=frozenset({"t"})))).value
    assert (outcome.matched, outcome.changed, outcome.busy) == (3, 2, 1)
    again = (await core.bulk.cancel(ADMIN, JobFilter(types=frozenset({"t"})))).value
    assert (again.matched, again.changed, again.busy) == (1, 1, 0)


async def test_bulk_rerun_leaves_out_what_is_locked_and_counts_it(runtime: Runtime, core: Services) -> None:
    jobs = [await completed(core) for _ in range(3)]
    async with locked(runtime.database, jobs[1]):
        outcome = (await core.bulk.rerun(ADMIN, JobFilter(states=frozenset({JobState.COMPLETED})))).value
    assert (outcome.matched, outcome.changed, outcome.busy) == (3, 2, 1)


async def test_jobs_of_a_client_that_left_are_given_back_though_the_database_refuses_at_first(
    core: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await create(core)
    submit_many = core.leases._calls.submit_many
    refusals = iter([UnavailableError("away"), RuntimeError("unexpected")])

    async def refused_at_first(calls: Any) -> Any:
        for refusal in refusals:
            raise refusal
        return await submit_many(calls)

    monkeypatch.setattr(core.leases._calls, "submit_many", refused_at_first)
    taken = asyncio.Event()
    take_once = core.claims._take_once

    async def slow(*arguments: Any) -> Any:
        claimed = await take_once(*arguments)
        taken.set()
        await asyncio.sleep(0)
        return claimed

    monkeypatch.setattr(core.claims, "_take_once", slow)
    claiming = asyncio.create_task(
        core.claims.claim(ClaimFilter(project_id=PROJECT), worker="w", max_jobs=1, lease_seconds=600, wait_seconds=0)
    )
    await taken.wait()
    claiming.cancel()
    async with asyncio.timeout(20):
        while (await core.jobs.get(PROJECT, job.id)).state is not JobState.PENDING:
            await asyncio.sleep(0.05)


async def test_uses_of_keys_that_could_not_be_written_are_written_the_next_time(
    core: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = (new_id(), "key")
    core.keys._used.add(used)

    async def fail(*_: Any) -> Any:
        raise UnavailableError("locked")

    with monkeypatch.context() as patch:
        patch.setattr("app.db.keys.mark_used", fail)
        with pytest.raises(UnavailableError):
            await core.keys.write_uses()
    assert core.keys._used == {used}
