"""A queue's limit is exact while many claim at once, and is never left unused."""

import asyncio
from typing import Any

from app.db import limits
from app.domain.audit import Actor
from app.domain.ids import new_id
from app.domain.job import ClaimedJob, ClaimFilter, NewJob
from app.domain.principal import Principal, Scope
from app.domain.queue import QueueRules
from app.domain.worker_call import Complete
from app.runtime import Runtime
from tests import sql

PROJECT = new_id()
ADMIN = Actor(Principal(PROJECT, "k", "admin", frozenset({Scope.ADMIN})))
LIMIT, JOBS = 3, 60
HELD = "SELECT count(*) FROM jobs WHERE state IN ('dispatched', 'running', 'cancelling')"


async def test_limit_holds_for_claimers_of_two_processes(database_url: str) -> None:
    runtimes = [Runtime(database_url, pool_size=6) for _ in range(2)]
    for runtime in runtimes:
        await runtime.start()
    core = runtimes[0].services
    await core.queues.put(ADMIN, "q", QueueRules(concurrency_limit=LIMIT))
    await core.jobs.create_many(PROJECT, [NewJob(id=new_id(), type="t", queue="q") for _ in range(JOBS)])
    done: set[Any] = set()
    most = 0

    async def held() -> int:
        async with runtimes[0].database.transaction() as connection:
            return int(await sql.fetch_value(connection, HELD))

    async def worker(runtime: Runtime) -> None:
        nonlocal most
        leases = runtime.services.leases
        while len(done) < JOBS:
            claimed, _ = await runtime.services.claims.claim(
                ClaimFilter(project_id=PROJECT), worker="w", max_jobs=2, lease_seconds=30, wait_seconds=0.2
            )
            most = max(most, await held())
            for one in claimed:
                await leases.submit(Complete(project_id=PROJECT, job_id=one.job.id, token=one.lease.token))
                done.add(one.job.id)

    async with asyncio.timeout(60):
        await asyncio.gather(*(worker(runtime) for runtime in runtimes for _ in range(6)))
    for runtime in runtimes:
        await runtime.stop()
    assert len(done) == JOBS
    assert most == LIMIT


async def test_claim_waits_for_the_claim_before_it_and_counts_what_that_took(database_url: str) -> None:
    """The gate is the first claim's transaction: the second must see its jobs, not the moment when it began."""
    runtime = Runtime(database_url, pool_size=4)
    core = runtime.services
    await core.queues.put(ADMIN, "q", QueueRules(concurrency_limit=1))
    await core.jobs.create_many(PROJECT, [NewJob(id=new_id(), type="t", queue="q") for _ in range(2)])
    wanted = ClaimFilter(project_id=PROJECT)
    async with runtime.database.transaction() as first:
        assert await limits.lock_limited(first, wanted) == {"q": 1}

        async def claim() -> list[ClaimedJob]:
            taken = await core.claims.claim(wanted, worker="w", max_jobs=1, lease_seconds=30, wait_seconds=0)
            return taken.value

        second = asyncio.create_task(claim())
        async with asyncio.timeout(10), runtime.database.connection() as watching:
            blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while not await sql.fetch_value(watching, blocked):
                await asyncio.sleep(0)
        await sql.execute(
            first, "UPDATE jobs SET state = 'running', attempt = 1 WHERE id = (SELECT min(id::text)::uuid FROM jobs)"
        )
    assert await second == []
    await runtime.stop()
