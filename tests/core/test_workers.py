"""Who asks for jobs: noted by claims, written in batches by each process, and forgotten."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from app.core.claims import Claims
from app.core.retention import Retention
from app.core.workers import Workers
from app.db import tables, workers
from app.db.engine import Database
from app.db.statement import Statement
from app.db.workers import Asked
from app.domain.ids import new_id
from app.domain.job import ClaimFilter
from app.domain.states import JobState
from app.domain.worker import MOST_NAMES, MOST_WORKERS, Worker
from app.live import askers
from app.runtime import Runtime
from tests import factories
from tests.calls import finish
from tests.factories import in_seconds, job


class Process:
    """A process that claims, whose loops run when the test says so, by a clock that it sets."""

    def __init__(self, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runtime = Runtime(database_url, pool_size=2)
        self.workers: Workers = self.runtime.services.workers
        self.claims: Claims = self.runtime.services.claims
        self.ahead = 0.0
        monkeypatch.setattr(askers, "now", lambda: self.ahead)

    async def claim(self, project_id: UUID, worker: str = "w", client: str | None = None, **names: Any) -> None:
        chosen = ClaimFilter(project_id=project_id, **names)
        await self.claims.claim(chosen, worker=worker, max_jobs=1, lease_seconds=30, wait_seconds=0, client=client)

    async def writes(self) -> int:
        """Do the next step of the loop; returns how often it wrote."""
        sent: list[Statement[Any, Any]] = []
        self.workers._maintenance.on_statement = sent.append
        await self.workers.write()
        return sent.count(workers.WRITE)

    async def found(self, project_id: UUID) -> list[Worker]:
        return (await self.workers.page(project_id, limit=500))[0]


@pytest_asyncio.fixture
async def process(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Process]:
    one = Process(database_url, monkeypatch)
    yield one
    await one.runtime.stop()


async def test_claim_is_written_soon_and_then_every_ten_seconds_at_most(process: Process, project_id: UUID) -> None:
    await process.writes()
    process.ahead += 9.0
    await process.claim(project_id, "w", "curl/8", queues=("docs",), types=("b", "a"))
    assert await process.writes() == 1
    [found] = await process.found(project_id)
    assert (found.name, found.queues, found.types, found.client) == ("w", ("docs",), ("a", "b"), "curl/8")
    assert (found.more_queues, found.present, found.held) == (False, True, 0)
    for _ in range(5):
        process.ahead += 1.0
        await process.claim(project_id, queues=("docs",))
        assert await process.writes() == 0
    process.ahead += askers.WRITE_SECONDS
    await process.claim(project_id, queues=("docs",))
    assert await process.writes() == 1
    assert (await process.found(project_id))[0].asked_at > found.asked_at


async def test_while_nobody_asks_nothing_is_written(process: Process, project_id: UUID) -> None:
    await process.claim(project_id)
    assert await process.writes() == 1
    for _ in range(10):
        process.ahead += askers.WRITE_SECONDS
        assert await process.writes() == 0
    assert process.workers.askers._projects == {}


async def test_open_claim_asks_all_the_time(process: Process, project_id: UUID) -> None:
    chosen = ClaimFilter(project_id=project_id)
    claiming = asyncio.create_task(
        process.claims.claim(chosen, worker="w", max_jobs=1, lease_seconds=30, wait_seconds=3600)
    )
    async with asyncio.timeout(10):
        while not process.workers.askers._projects:
            await asyncio.sleep(0)
    written = []
    for _ in range(8):
        written.append(await process.writes())
        process.ahead += askers.WRITE_SECONDS
    assert written == [1] * 8
    claiming.cancel()
    await asyncio.gather(claiming, return_exceptions=True)
    # Once more for the time until it left.
    assert [await process.writes(), await process.writes()] == [1, 0]


async def test_names_of_all_claims_within_a_minute_are_joined_and_cut(process: Process, project_id: UUID) -> None:
    await process.claim(project_id, queues=tuple(f"q{n:02}" for n in range(15)), types=("a",))
    await process.claim(project_id, queues=tuple(f"r{n:02}" for n in range(15)), types=("b",))
    await process.claim(project_id, job_ids=(new_id(),))
    await process.writes()
    [found] = await process.found(project_id)
    assert found.queues == tuple([f"q{n:02}" for n in range(15)] + [f"r{n:02}" for n in range(MOST_NAMES - 15)])
    assert (found.more_queues, found.types, found.more_types) == (True, ("a", "b"), False)
    process.ahead += 61
    await process.claim(project_id, queues=("q",))
    await process.writes()
    [found] = await process.found(project_id)
    assert (found.queues, found.more_queues, found.types) == (("q",), False, None)


async def test_many_filters_of_one_worker_count_as_anything(process: Process, project_id: UUID) -> None:
    for n in range(askers.MOST_FILTERS + 1):
        await process.claim(project_id, queues=(f"q{n}",))
    await process.writes()
    assert [found.queues for found in await process.found(project_id)] == [None]


async def test_what_another_process_wrote_within_a_minute_is_added_to(database: Database, project_id: UUID) -> None:
    async def write(origin: str, queues: list[str] | None, seconds: float = 0.0) -> list[Worker]:
        row = Asked(project_id, "w", queues, ["t"], False, False, None, seconds)
        await database.write(workers.write, origin, [row])
        return await database.read(workers.select_page, project_id, after="", limit=10)

    assert [one.queues for one in await write("a", ["x"])] == [("x",)]
    assert [one.queues for one in await write("b", ["y"])] == [("x", "y")]
    assert [one.queues for one in await write("b", ["y", "z"])] == [("y", "z")]
    [before] = await write("a", ["x"])
    # An older time than is known changes none.
    [found] = await write("b", None, seconds=30)
    assert (found.queues, found.asked_at) == (None, before.asked_at)
    async with database.transaction() as connection:
        await connection.driver.execute("UPDATE workers SET asked_at = asked_at - interval '61 seconds'")
    assert [one.queues for one in await write("a", ["x"])] == [("x",)]
    many = [f"q{n:02}" for n in range(MOST_NAMES)]
    [found] = await write("b", many)
    assert (found.queues, found.more_queues) == (tuple(many), True)


async def test_of_too_many_workers_the_longest_silent_go(database: Database, project_id: UUID) -> None:
    def asked(first: int, last: int, seconds: float) -> list[Asked]:
        return [Asked(project_id, f"w{n:04}", None, None, False, False, None, seconds) for n in range(first, last)]

    other = await _other_project(database)
    await database.write(workers.write, "o", [Asked(other, "w", None, None, False, False, None, 900)])
    await database.write(workers.write, "o", asked(0, 5, 60))
    grown = await database.write(workers.write, "o", asked(5, MOST_WORKERS + 3, 1))
    assert grown == {project_id}
    assert await database.write(workers.drop_surplus, [project_id]) == 3
    assert await database.write(workers.write, "o", asked(5, 10, 0)) == set()
    kept = [found.name for found in await database.read(workers.select_page, project_id, after="", limit=2000)]
    assert len(kept) == MOST_WORKERS
    assert [name for name in kept if name < "w0005"] == ["w0000", "w0001"]
    assert len(await database.read(workers.select_page, other, after="", limit=10)) == 1


async def _other_project(database: Database) -> UUID:
    async with database.transaction() as connection:
        return await factories.project(connection, "other")


async def test_after_a_day_a_worker_that_holds_nothing_is_forgotten(database: Database, project_id: UUID) -> None:
    async with database.transaction() as connection:
        for name, hours in (("new", 23), ("old", 25), ("busy", 25)):
            row = {"more_queues": False, "more_types": False, "origin": "o", "asked_at": in_seconds(-3600 * hours)}
            await connection.core.execute(tables.workers.insert().values(project_id=project_id, name=name, **row))
        await job(connection, project_id, state=JobState.RUNNING, worker="busy")
    await finish(Retention(database, lambda _: None))
    found = await database.read(workers.select_page, project_id, after="", limit=10)
    assert [(one.name, one.present, one.held) for one in found] == [("busy", True, 1), ("new", False, 0)]


async def test_write_that_failed_is_tried_again(
    process: Process, project_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> set[UUID]:
        raise RuntimeError("the database is away")

    await process.claim(project_id)
    with monkeypatch.context() as patch:
        patch.setattr(workers, "write", fail)
        with pytest.raises(RuntimeError):
            await process.workers.write()
    process.ahead += askers.WRITE_SECONDS
    assert await process.writes() == 1
    assert len(await process.found(project_id)) == 1
