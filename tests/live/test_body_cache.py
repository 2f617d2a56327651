"""Bodies are rendered once per version, and an ended job that is gone is served no longer than promised."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest

from app.domain.job import Job, SeenVersion
from app.domain.states import JobState
from app.live import body_cache as module
from app.live.body_cache import BodyCache
from tests.dialects.samples import sample

LIVE = sample(JobState.RUNNING)
ENDED = sample(JobState.COMPLETED)
KEY = LIVE.ref


class Reads:
    """A database that counts how often it is asked for whole jobs."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.asked = 0

    async def get_many(self, keys: Collection[Any]) -> Mapping[Any, Any]:
        self.asked += 1
        await asyncio.sleep(0)
        return self._answer(keys)

    def _answer(self, keys: Collection[Any]) -> Mapping[Any, Any]:
        return {} if self.value is None else dict.fromkeys(keys, self.value)


class Changes(Reads):
    """The same for what has changed of jobs."""

    def _answer(self, keys: Collection[SeenVersion]) -> Mapping[SeenVersion, int | None]:
        return {known: self.value for known in keys if known.version != self.value}


class Table:
    """One job, as it can be read whole or by its version."""

    def __init__(self, job: Job | None) -> None:
        self.jobs, self.changes = Reads(None), Changes(None)
        self.rendered = 0
        self.put(job)
        self.bodies = BodyCache(self.jobs, self.changes, self._render)  # type: ignore[arg-type]

    def put(self, job: Job | None) -> None:
        self.jobs.value = job
        self.changes.value = None if job is None else job.version

    def _render(self, job: Job) -> bytes:
        self.rendered += 1
        return f"{job.state} {job.version}".encode()

    async def body(self) -> bytes | None:
        found = await self.bodies.get(KEY)
        return None if found is None else found.body


async def test_live_job_is_read_whole_once_and_then_by_its_version() -> None:
    table = Table(LIVE)
    assert [await table.body() for _ in range(3)] == [b"running 1"] * 3
    assert (table.jobs.asked, table.changes.asked, table.rendered) == (1, 2, 1)
    table.put(replace(LIVE, version=2))
    assert await table.body() == b"running 2"
    table.put(None)
    assert await table.body() is None


async def test_ended_job_is_asked_for_no_more_within_the_second() -> None:
    table = Table(ENDED)
    assert {await table.body() for _ in range(9)} == {b"completed 1"}
    assert (table.jobs.asked, table.changes.asked) == (1, 0)


async def test_deleted_job_is_gone_after_the_second_without_any_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH_SECONDS", 0.02)
    table = Table(ENDED)
    assert await table.body() == b"completed 1"
    table.put(None)
    assert await table.body() == b"completed 1"
    await asyncio.sleep(0.03)
    assert await table.body() is None


async def test_news_of_a_change_is_believed_at_once() -> None:
    table = Table(ENDED)
    await table.body()
    table.put(None)
    table.bodies.invalidate([KEY])
    assert await table.body() is None


async def test_what_is_read_often_is_kept_good_and_what_is_gone_is_dropped() -> None:
    table = Table(ENDED)
    await table.body()
    assert table.bodies.expiring() == []
    await table.body()
    due = table.bodies.expiring()
    assert [entry.seen.ref for entry in due] == [KEY]
    now = asyncio.get_running_loop().time()
    table.bodies.revalidated(due, {}, now + 50)
    assert await table.body() == b"completed 1"
    assert (table.jobs.asked, table.changes.asked) == (1, 0)
    table.bodies.revalidated(due, {due[0].seen: None}, now)
    table.put(None)
    assert await table.body() is None


async def test_what_is_read_no_more_is_looked_at_no_more() -> None:
    table = Table(ENDED)
    await table.body()
    await table.body()
    assert [bool(table.bodies.expiring()) for _ in range(module.CHECKS_A_USE + 1)] == [True] * module.CHECKS_A_USE + [
        False
    ]


async def test_version_is_told_without_reading_the_job() -> None:
    table = Table(LIVE)
    assert await table.bodies.version(KEY) == 1
    assert table.jobs.asked == 0
    await table.body()
    table.put(replace(LIVE, version=2))
    assert await table.bodies.version(KEY) == 2
    table.put(None)
    assert await table.bodies.version(KEY) is None


async def test_change_while_the_version_is_being_asked_for_is_not_missed() -> None:
    table = Table(LIVE)
    await table.body()
    reading = asyncio.create_task(table.body())
    await asyncio.sleep(0)
    # The old version is on its way, and news of a newer one comes before it.
    table.put(replace(LIVE, version=2))
    table.bodies.invalidate([KEY])
    assert await reading == b"running 2"


async def test_job_that_is_deleted_while_it_is_read_is_not_good_afterwards() -> None:
    table = Table(ENDED)
    reading = asyncio.create_task(table.body())
    await asyncio.sleep(0)
    table.bodies.invalidate([KEY])
    await reading
    table.put(None)
    assert await table.body() is None


async def test_body_read_before_a_change_does_not_replace_the_newer_one() -> None:
    table = Table(replace(LIVE, version=2))
    await table.body()
    assert table.bodies.of(LIVE).body == b"running 1"
    assert await table.body() == b"running 2"
    assert table.jobs.asked == 1


async def test_memory_is_bounded() -> None:
    bodies = BodyCache(Reads(None), Reads(None), lambda _: bytes(1_000), max_bytes=18_000)  # type: ignore[arg-type]
    for n in range(100):
        bodies.of(replace(LIVE, priority=n, id=type(LIVE.id)(int=n)))
    assert len(bodies._entries) == 10
    assert bodies._bytes == 18_000
