"""What the service asks of its database while nothing happens, while many wait, and when they are woken: counted."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio

from app.core.waits import EndedBy
from app.db import events, jobs, logs
from app.db.statement import Statement
from app.domain.audit import Actor
from app.domain.ids import new_id
from app.domain.job import Claim, ClaimFilter, Created, Job, NewJob
from app.domain.principal import Principal, Scope
from app.domain.queue import QueueRules
from app.domain.worker_call import Complete, Ended, LogLine, Report
from app.live.change_feed import NOTIFY
from app.runtime import Runtime
from app.web.deps import Services
from tests import sql
from tests.calls import PROJECT

WAITS = 300
READERS = 150
PAGES: Final[dict[str, Statement[Any, Any]]] = {"stream": events.OF_JOB, "log": logs.PAGE}
READS: Final = {
    ("stream", "report"): [1, 1],
    # The job comes with the change, from this process.
    ("stream", "complete"): [1, 0],
    # What there is, and the next call, which waits.
    ("log", "report"): [2, 2],
    ("log", "complete"): [1, 1],
}
"""How often the page and the job are read for all who follow one."""
QUIET_SECONDS = 4.0
MOST_A_SECOND = 3
RARE = 2
"""Looks that come once in five or ten seconds: the pruner's, and the one for copies or for the lag of the feed."""


class Statements(Counter[str]):
    """The statements of a runtime, by how they begin."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        runtime.database.on_statement = self._note

    def _note(self, statement: Statement[Any, Any]) -> None:
        self[_beginning(statement)] += 1

    def asked(self) -> int:
        """How many there were, without those that tell others of it some milliseconds later."""
        return self.total() - self[_beginning(NOTIFY)]


def _beginning(statement: Statement[Any, Any]) -> str:
    return " ".join(statement.sql.split())[:60]


@pytest_asyncio.fixture
async def started(runtime: Runtime) -> AsyncIterator[Runtime]:
    """A runtime with all of its loops."""
    await runtime.start()
    # The first looks of the loops are no idling.
    await asyncio.sleep(1.5)
    yield runtime


async def _held(core: Services, count: int) -> list[tuple[Job, UUID]]:
    await core.jobs.create_many(PROJECT, [NewJob(id=new_id(), type="t") for _ in range(count)])
    taken, _ = await core.claims.claim(
        ClaimFilter(project_id=PROJECT), worker="w", max_jobs=count, lease_seconds=300, wait_seconds=0
    )
    return [(one.job, one.lease.token) for one in taken]


async def _quiet(statements: Statements) -> None:
    statements.clear()
    await asyncio.sleep(QUIET_SECONDS)
    assert 0 < statements.total() <= MOST_A_SECOND * QUIET_SECONDS + RARE, statements


async def test_an_idle_process_asks_little(started: Runtime) -> None:
    await _quiet(Statements(started))


async def test_hundreds_of_waits_ask_one_question_a_second(started: Runtime, core: Services) -> None:
    held = await _held(core, 100)
    waiting = [
        asyncio.create_task(core.waits.wait(PROJECT, [held[n % len(held)][0].id], seconds=60)) for n in range(WAITS)
    ]
    while len(started.waiters) < WAITS:
        await asyncio.sleep(0.01)
    statements = Statements(started)
    await asyncio.sleep(0.5)
    await _quiet(statements)
    started.drain()
    await asyncio.gather(*waiting)


async def test_who_waits_for_a_job_that_ends_here_reads_nothing(started: Runtime, core: Services) -> None:
    [(job, token), *_] = await _held(core, 1)
    waiting = [asyncio.create_task(core.waits.wait(PROJECT, [job.id], seconds=60)) for _ in range(WAITS)]
    while len(started.waiters) < WAITS:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    statements = Statements(started)
    completed = await core.leases.submit(Complete(project_id=PROJECT, job_id=job.id, token=token, result={"n": 1}))
    assert isinstance(completed, Ended)
    found = await asyncio.gather(*waiting)
    assert all(one == ({job.id: completed.job}, EndedBy.CONDITION) for one in found)
    assert not [text for text in statements if text.startswith("SELECT j.project_id, j.id, j.type")], statements


class Reader:
    """Reads a stream, or a log, in the background."""

    def __init__(self, source: AsyncIterator[object]) -> None:
        self.seen: list[object] = []
        self.task = asyncio.create_task(self._read(source))

    async def _read(self, source: AsyncIterator[object]) -> None:
        async for each in source:
            self.seen.append(each)


async def _log(core: Services, job_id: UUID) -> AsyncIterator[object]:
    offset, ended = 0, False
    while not ended:
        page = await core.logs.page(PROJECT, job_id, offset=offset, limit=100, wait_seconds=50)
        offset, ended = page.next_offset, page.ended
        for line in page.lines:
            yield line


async def _until_all(readers: list[Reader], condition: Callable[[Reader], bool]) -> None:
    async with asyncio.timeout(20):
        while not all(condition(reader) for reader in readers):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("followed", ["stream", "log"])
@pytest.mark.parametrize("change", ["report", "complete"])
async def test_a_change_is_read_once_for_all_who_follow_the_job(
    runtime: Runtime, core: Services, followed: str, change: str
) -> None:
    [(job, token)] = await _held(core, 1)
    follow = core.events.follow_job if followed == "stream" else lambda _, job_id: _log(core, job_id)
    readers = [Reader(follow(PROJECT, job.id)) for _ in range(READERS)]
    async with asyncio.timeout(20):
        while runtime.waiters.resting() < READERS:
            await asyncio.sleep(0.01)
    before = [len(reader.seen) for reader in readers]
    sent: list[Statement[Any, Any]] = []
    runtime.database.on_statement = sent.append
    held: dict[str, Any] = {"project_id": PROJECT, "job_id": job.id, "token": token}
    call = Report(**held, stage="s", logs=(LogLine("info", "m"),)) if change == "report" else Complete(**held)
    await core.leases.submit(call)
    if change == "complete":
        await asyncio.wait_for(asyncio.gather(*(reader.task for reader in readers)), 20)
    else:
        await _until_all(readers, lambda reader: len(reader.seen) > before[readers.index(reader)])
    if change == "report":
        # Those who wait for more have looked for it first.
        async with asyncio.timeout(20):
            while runtime.waiters.resting() < READERS:
                await asyncio.sleep(0.01)
    assert [sent.count(statement) for statement in (PAGES[followed], jobs.SELECT)] == READS[followed, change]
    for reader in readers:
        reader.task.cancel()
    await asyncio.gather(*(reader.task for reader in readers), return_exceptions=True)


@pytest.mark.parametrize("count", [1, 50])
async def test_a_workers_round_costs_the_same_for_one_job_as_for_fifty(
    runtime: Runtime,
    core: Services,
    count: int,
) -> None:
    await core.claims.claim(ClaimFilter(project_id=new_id()), worker="w", max_jobs=1, lease_seconds=9, wait_seconds=0)
    await core.jobs.create_many(PROJECT, [NewJob(id=new_id(), type="other")])
    statements = Statements(runtime)
    await core.jobs.create_many(PROJECT, [NewJob(id=new_id(), type="t") for _ in range(count)])
    # In a queue that is known, the jobs with their history and all that they bring.
    assert statements.asked() == 1, statements
    statements.clear()
    taken, _ = await core.claims.claim(
        ClaimFilter(project_id=PROJECT), worker="w", max_jobs=count, lease_seconds=300, wait_seconds=0
    )
    assert len(taken) == count
    # Whether the project has limited queues, and the claim with its history and all that it hands out.
    assert statements.asked() == 2, statements
    statements.clear()
    await core.leases.submit_many(
        [Report(project_id=PROJECT, job_id=one.job.id, token=one.lease.token, progress=50.0) for one in taken]
    )
    # The runs, for the estimates; then the lock, the fence, the start, the runs and the history.
    assert statements.asked() == 2, statements
    statements.clear()
    await core.leases.submit_many([Report(project_id=PROJECT, job_id=j.job.id, token=j.lease.token) for j in taken])
    # All of a heartbeat.
    assert statements.asked() == 1, statements
    statements.clear()
    await core.leases.submit_many(
        [Complete(project_id=PROJECT, job_id=one.job.id, token=one.lease.token, result={}) for one in taken]
    )
    # The lock, the end with its history, the results.
    assert statements.asked() == 1, statements


@pytest.mark.parametrize(("places", "more"), [(None, 1), (60, 2)], ids=["no limit", "a limit"])
@pytest.mark.parametrize("count", [1, 50])
async def test_places_cost_nothing_but_those_who_take_one(
    runtime: Runtime, core: Services, count: int, places: int | None, more: int
) -> None:
    """Whether the queue has a limit, with its lock, and what it holds: once for all late reports, or new claims."""
    admin = Actor(Principal(PROJECT, "k", "admin", frozenset({Scope.ADMIN})))
    await core.queues.put(admin, "q", QueueRules(concurrency_limit=places))
    statements = Statements(runtime)
    await core.jobs.create_many(PROJECT, [NewJob(id=new_id(), type="t", queue="q") for _ in range(count)])
    assert statements.asked() == 1, statements
    statements.clear()
    made = await core.jobs.create_many(
        PROJECT, [NewJob(id=new_id(), type="t", queue="q", claim=Claim("w", 30)) for _ in range(count)]
    )
    assert statements.asked() == 1 + more, statements
    calls = [
        Report(project_id=PROJECT, job_id=one.job.id, token=one.lease.token, progress=50.0)
        for one in made
        if isinstance(one, Created) and one.lease is not None
    ]
    statements.clear()
    await core.leases.submit_many(calls)
    assert statements.asked() == 2, statements
    async with runtime.database.transaction() as connection:
        await sql.execute(connection, "UPDATE jobs SET state = 'retrying' WHERE state = 'running'")
    statements.clear()
    # The two of a report, then in the transaction: the locks, the runs, the places, the reports.
    assert len(await core.leases.submit_many([replace(call, progress=51.0) for call in calls])) == count
    assert statements.asked() == 5 + more, statements


async def test_claims_that_come_together_are_one(runtime: Runtime, core: Services) -> None:
    await core.jobs.create_many(PROJECT, [NewJob(id=new_id(), type="t") for _ in range(30)])
    wanted = ClaimFilter(project_id=PROJECT)
    statements = Statements(runtime)
    found = await asyncio.gather(
        *(
            core.claims.claim(wanted, worker=f"w-{n}", max_jobs=2, lease_seconds=60 + n, wait_seconds=0)
            for n in range(10)
        )
    )
    assert [len(taken) for taken, _ in found] == [2] * 10
    ids = [one.job.id for taken, _ in found for one in taken]
    assert len(set(ids)) == 20
    for n, (taken, _) in enumerate(found):
        assert {(one.job.worker, one.lease.expires_in_seconds) for one in taken} == {(f"w-{n}", 60.0 + n)}
    assert statements.total() <= 3, statements


async def test_what_a_creation_answers_is_what_is_read(core: Services) -> None:
    made = await core.jobs.create(
        PROJECT, NewJob(id=new_id(), type="t", queue="q", payload={"a": 1}, labels={"x": "y"}, priority=3)
    )
    assert made.job == await core.jobs.get(PROJECT, made.job.id, documents=True)


async def test_what_ends_and_claims_answer_is_what_is_read(core: Services) -> None:
    await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t", payload={"a": 1}))
    [taken], _ = await core.claims.claim(
        ClaimFilter(project_id=PROJECT), worker="w", max_jobs=1, lease_seconds=300, wait_seconds=0
    )
    assert taken.job == await core.jobs.get(PROJECT, taken.job.id, documents=True)
    ended = await core.leases.submit(Complete(project_id=PROJECT, job_id=taken.job.id, token=taken.lease.token))
    assert isinstance(ended, Ended)
    assert ended.job == await core.jobs.get(PROJECT, taken.job.id)
