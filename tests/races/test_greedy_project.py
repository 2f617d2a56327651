"""A project in excess slows itself at the database, and not its neighbours."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from app.core import claims
from app.db import deadlines
from app.db.connection import Connection
from app.db.opening import asyncpg_dsn
from app.domain.audit import Actor
from app.domain.errors import BusyError
from app.domain.ids import new_id
from app.domain.job import ClaimedJob, ClaimFilter, Job, NewJob
from app.domain.job_filter import JobFilter
from app.domain.principal import Principal, Scope
from app.domain.queue import QueueRules
from app.domain.worker_call import Report, Reported
from app.runtime import Runtime
from app.web.deps import Services
from tests.inside_service import serve_inside

GREEDY, NEIGHBOUR = new_id(), new_id()
BOUND = 10
"""Seconds, for what nothing holds up."""


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Services]:
    """The service with a pool as large as by default."""
    runtime = Runtime(database_url)
    yield runtime.services
    await runtime.stop()


async def created(core: Services, project_id: UUID, job_type: str = "t", queue: str = "default") -> Job:
    return (await core.jobs.create(project_id, NewJob(id=new_id(), type=job_type, queue=queue))).job


async def claimed(core: Services, project_id: UUID, job_type: str = "t") -> list[ClaimedJob]:
    wanted = ClaimFilter(project_id=project_id, types=(job_type,))
    taken = await core.claims.claim(wanted, worker="w", max_jobs=1, lease_seconds=30, wait_seconds=0)
    return taken.value


def actor(project_id: UUID) -> Actor:
    return Actor(Principal(project_id, "key", "key", frozenset(Scope)))


BLOCKED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'jobtrack' AND wait_event_type = 'Lock'
"""


class Watcher:
    """A look at the database's sessions, from outside of any transaction, which would see the same ones for ever."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def blocked(self) -> int:
        """How many units of the service wait for a lock."""
        return int(await self._connection.fetchval(BLOCKED))

    async def until_blocked(self, least: int) -> None:
        async with asyncio.timeout(BOUND):
            while await self.blocked() < least:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def locked(database_url: str, statement: str, *arguments: object) -> AsyncIterator[Watcher]:
    """Hold rows locked in a transaction that is not the service's."""
    holder, watching = [await asyncpg.connect(asyncpg_dsn(database_url)) for _ in range(2)]
    try:
        async with holder.transaction():
            await holder.execute(statement, *arguments)
            yield Watcher(watching)
    finally:
        await holder.close()
        await watching.close()


SLOW: dict[str, Callable[[Services, UUID], Coroutine[None, None, object]]] = {
    "cancel": lambda core, job_id: core.jobs.cancel(GREEDY, job_id, by=None),
    "delete": lambda core, job_id: core.jobs.delete(GREEDY, job_id),
    "rerun": lambda core, job_id: core.jobs.rerun(GREEDY, job_id),
}


@pytest.mark.parametrize("kind", SLOW)
async def test_slow_calls_that_are_stuck_hold_up_no_worker_no_claim_no_key_and_no_other_project(
    core: Services, database_url: str, kind: str
) -> None:
    stuck = await created(core, GREEDY, "stuck")
    await created(core, GREEDY)
    [running] = await claimed(core, GREEDY)
    for project_id in (GREEDY, NEIGHBOUR):
        await created(core, project_id, "next")
    key = await core.keys.install_first(None)
    assert key is not None
    async with locked(database_url, "SELECT FROM jobs WHERE id = $1 FOR UPDATE", stuck.id) as watcher:
        excess = [asyncio.create_task(SLOW[kind](core, stuck.id)) for _ in range(50)]
        await watcher.until_blocked(3)
        async with asyncio.timeout(BOUND):
            report = Report(project_id=GREEDY, job_id=running.job.id, token=running.lease.token, progress=50)
            assert isinstance(await core.leases.submit(report), Reported)
            assert (await core.keys.authenticate(key, "a")).key_id
            for project_id in (GREEDY, NEIGHBOUR):
                assert len(await claimed(core, project_id, "next")) == 1
                await core.jobs.get(project_id, (await created(core, project_id)).id)
            page = await core.lists.page(NEIGHBOUR, JobFilter(types=frozenset({"t"})), before=None, limit=10)
            assert len(page.jobs) == 1
        assert await watcher.blocked() == 3, "all places but one, all the while"
        assert not any(call.done() for call in excess)
    await asyncio.gather(*excess, return_exceptions=True)


async def test_claims_that_are_stuck_hold_up_no_claim_of_another_project_and_no_workers_call(
    core: Services, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "LIMITS_KNOWN_SECONDS", 0.0)
    await created(core, GREEDY)
    [running] = await claimed(core, GREEDY)
    await created(core, NEIGHBOUR, "next")
    await core.queues.put(actor(GREEDY), "default", QueueRules(concurrency_limit=5))
    lock = "SELECT FROM queues WHERE project_id = $1 FOR UPDATE"
    async with locked(database_url, lock, GREEDY) as watcher:
        excess = [asyncio.create_task(claimed(core, GREEDY, f"type-{n}")) for n in range(50)]
        await watcher.until_blocked(2)
        async with asyncio.timeout(BOUND):
            report = Report(project_id=GREEDY, job_id=running.job.id, token=running.lease.token, progress=50)
            assert isinstance(await core.leases.submit(report), Reported)
            assert len(await claimed(core, NEIGHBOUR, "next")) == 1
        assert await watcher.blocked() == 2
        assert not any(call.done() for call in excess)
    outcomes = await asyncio.gather(*excess, return_exceptions=True)
    assert all(outcome == [] or isinstance(outcome, BusyError) for outcome in outcomes)


async def test_a_call_that_waits_in_vain_is_busy_in_each_dialects_own_shape(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "PART_FOR_A_PLACE", 0.01)
    async with serve_inside(database_url) as service:
        client = service.client
        job = (await client.post("/v1/jobs", json={"type": "t"})).json()
        go, held = asyncio.Event(), asyncio.Event()

        async def hold(_: Connection) -> None:
            held.set()
            await go.wait()

        # The only place of a pool of four.
        holding = asyncio.create_task(service.runtime.database.slow(NEIGHBOUR).read(hold))
        await held.wait()
        answers = {
            "native": await client.get("/v1/jobs"),
            "fifthelement": await client.post(f"/jobs/{job['id']}/rerun"),
            "llamacloud": await client.get("/api/v1/beta/batch-processing"),
        }
        gathered = await client.get(f"/v1/jobs/{job['id']}")
        go.set()
        await holding
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 503)
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers.values())
    assert answers["native"].json()["code"] == "busy"
    assert not any("code" in answer.json() for name, answer in answers.items() if name != "native")
    assert gathered.status_code == 200
