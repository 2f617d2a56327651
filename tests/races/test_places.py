"""One place, and two that want it at once: whoever is second sees what the first has taken, whatever the two are.

The gate is the first one's transaction, which has taken the place and has not committed. The second must not be
answered before it has: it would count what is held without the first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from app.core.batches.calls import apply_worker_calls
from app.core.batches.claims import ClaimRequest, apply_claims
from app.core.batches.create import apply_creations
from app.core.batches.queue_limit import QueueLimit
from app.db import limits
from app.db.connection import Connection
from app.db.statement import Statement
from app.domain.errors import LeaseLostError, QueueFullError
from app.domain.idempotency import Idempotency
from app.domain.ids import new_id
from app.domain.job import Claim, ClaimFilter, Created, CreateRequest, NewJob
from app.domain.states import JobState
from app.domain.worker_call import Complete, Report, Reported
from app.runtime import Runtime
from tests import factories, sql
from tests.factories import Made

HELD = "SELECT count(*) FROM jobs WHERE state IN ('dispatched', 'running', 'cancelling')"
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
SECONDS = 20


class Queue:
    """A queue with one place, seen by one process."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.core = runtime.services
        self.project_id = new_id()
        self.looks = 0
        runtime.database.on_statement = self._note

    def _note(self, statement: Statement[Any, Any]) -> None:
        self.looks += statement is limits.LOCK_FREE

    @property
    def every(self) -> ClaimFilter:
        return ClaimFilter(project_id=self.project_id)

    def report(self, late: Made) -> Report:
        return Report(project_id=late.project_id, job_id=late.id, token=late.held_by, progress=5.0)

    def new_job(self, queue: str = "default") -> NewJob:
        return NewJob(id=new_id(), type="t", queue=queue, claim=Claim("w", 30))

    async def put(self, state: JobState, queue: str = "default") -> Made:
        async with self.runtime.database.transaction() as connection:
            return await factories.job(connection, self.project_id, state=state, queue=queue)

    async def number(self, statement: str) -> int:
        async with self.runtime.database.connection() as connection:
            return int(await sql.fetch_value(connection, statement))

    async def until_it_looked(self, task: asyncio.Future[Any]) -> None:
        """Wait until a task waits for the lock, or has come back to it, or has wrongly ended."""
        async with asyncio.timeout(SECONDS):
            while not task.done() and self.looks < 2 and not await self.number(BLOCKED):
                await asyncio.sleep(0)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        async with self.runtime.database.transaction() as connection:
            await sql.execute(connection, "SELECT FROM queues WHERE name = 'default' FOR NO KEY UPDATE")
            yield


@pytest_asyncio.fixture
async def queue(database_url: str) -> AsyncIterator[Queue]:
    runtime = Runtime(database_url, pool_size=6)
    seen = Queue(runtime)
    async with runtime.database.transaction() as connection:
        seen.project_id = await factories.project(connection)
        await factories.queue(connection, seen.project_id, concurrency_limit=1)
    yield seen
    await runtime.stop()


First = Callable[[Connection, Queue], Awaitable[Any]]
Second = Callable[[Queue], Awaitable[Any]]


async def first_reports(connection: Connection, queue: Queue) -> None:
    applied = await apply_worker_calls(connection, [queue.report(await queue.put(JobState.RETRYING))])
    assert [type(outcome) for outcome in applied.outcomes] == [Reported]


async def first_creates(connection: Connection, queue: Queue) -> None:
    request = CreateRequest(queue.project_id, queue.new_job(), token=uuid4())
    applied = await apply_creations(QueueLimit(), connection, [request])
    assert [type(outcome) for outcome in applied.outcomes] == [Created]


async def first_claims(connection: Connection, queue: Queue) -> None:
    await queue.put(JobState.PENDING)
    applied = await apply_claims(connection, queue.every, [ClaimRequest("w", 1, 30, True)], 1 << 20)
    [outcome] = applied.outcomes
    assert len(outcome.value) == 1  # type: ignore[union-attr]


async def second_reports(queue: Queue) -> None:
    late = await queue.put(JobState.RETRYING)
    with pytest.raises(LeaseLostError):
        await queue.core.leases.submit(queue.report(late))


async def second_creates(queue: Queue) -> None:
    with pytest.raises(QueueFullError):
        await queue.core.jobs.create(queue.project_id, queue.new_job())


async def second_claims(queue: Queue) -> None:
    await queue.put(JobState.PENDING)
    claimed = await queue.core.claims.claim(queue.every, worker="w", max_jobs=1, lease_seconds=30, wait_seconds=0)
    assert claimed.value == []


@pytest.mark.parametrize("second", [second_reports, second_creates, second_claims])
@pytest.mark.parametrize("first", [first_reports, first_creates, first_claims])
async def test_one_of_two_gets_the_place(queue: Queue, first: First, second: Second) -> None:
    async with queue.runtime.database.transaction() as connection:
        await first(connection, queue)
        queue.looks = 0
        task = asyncio.ensure_future(second(queue))
        await queue.until_it_looked(task)
        assert not task.done()
    async with asyncio.timeout(SECONDS):
        await task
    assert await queue.number(HELD) == 1


async def test_late_report_that_waits_for_its_queue_holds_no_other_call_up(queue: Queue) -> None:
    """Its own job's later calls stay behind it."""
    late, other = await queue.put(JobState.RETRYING), await queue.put(JobState.RETRYING, "other")
    completion = Complete(project_id=late.project_id, job_id=late.id, token=late.held_by)
    async with queue.locked():
        waiting = asyncio.ensure_future(
            queue.core.leases.submit_many([queue.report(late), completion, queue.report(late)])
        )
        async with asyncio.timeout(SECONDS):
            assert type(await queue.core.leases.submit(queue.report(other))) is Reported
        await queue.until_it_looked(waiting)
        assert not waiting.done()
    async with asyncio.timeout(SECONDS):
        outcomes = await waiting
    assert [type(outcome).__name__ for outcome in outcomes] == ["Reported", "Ended", "AlreadyTerminalError"]


async def test_creation_that_waits_for_its_queue_holds_no_other_up(queue: Queue) -> None:
    async with queue.locked():
        waiting = asyncio.ensure_future(queue.core.jobs.create(queue.project_id, queue.new_job()))
        await queue.until_it_looked(waiting)
        async with asyncio.timeout(SECONDS):
            made = await queue.core.jobs.create(queue.project_id, queue.new_job("other"))
        assert made.lease is not None
        assert not waiting.done()
    async with asyncio.timeout(SECONDS):
        assert (await waiting).lease is not None


async def test_another_request_under_the_key_of_a_report_that_waits_has_its_own_turn(queue: Queue) -> None:
    """The report is refused at last, which leaves its key free."""
    holder, late = await queue.put(JobState.RUNNING), await queue.put(JobState.RETRYING)
    first, other = (Idempotency(route="r", key="k", fingerprint=fingerprint) for fingerprint in (b"one", b"two"))
    progress = Report(project_id=holder.project_id, job_id=holder.id, token=holder.held_by, idempotency=other)
    async with queue.locked():
        calls = [replace(queue.report(late), idempotency=first), progress]
        waiting = asyncio.ensure_future(queue.core.leases.submit_many(calls))
        await queue.until_it_looked(waiting)
    async with asyncio.timeout(SECONDS):
        outcomes = await waiting
    assert [type(outcome) for outcome in outcomes] == [LeaseLostError, Reported]
