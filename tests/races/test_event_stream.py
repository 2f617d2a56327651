"""A stream has every event once, in order, however often its reader comes back and whoever commits first."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.core.events import Reset, StreamStarted
from app.domain.event import JobEventRecord, Position
from app.domain.ids import new_id
from app.domain.job import Job, JobRef, NewJob
from app.live.event_stream import EventStream
from app.runtime import Runtime
from tests import factories, sql
from tests.conftest import StartService

PROJECT = new_id()
EVENTS, RECONNECTS = 600, 1_000


@pytest_asyncio.fixture
async def runtime(database_url: str) -> AsyncIterator[Runtime]:
    one = Runtime(database_url, pool_size=8)
    await one.start()
    yield one
    await one.stop()


async def test_thousand_reconnects_while_transactions_commit_out_of_order(runtime: Runtime) -> None:
    core = runtime.services
    job = (await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"))).job
    written: list[int] = []
    numbers = iter(range(EVENTS))

    async def write() -> None:
        for number in numbers:
            async with runtime.database.transaction() as connection:
                await factories.event(connection, job.ref, "told", data=number)
                # Some hold their transaction open while later ones commit.
                await sql.execute(connection, "SELECT pg_sleep(:s)", s=random.choice((0, 0, 0.02)))
            written.append(number)
            runtime.stream.changed([job.ref])

    seen: list[JobEventRecord] = []
    position: Position | None = None
    connects = 0
    writing = [asyncio.create_task(write()) for _ in range(4)]
    async with asyncio.timeout(60):
        while len(seen) < EVENTS or connects < RECONNECTS:
            connects += 1
            follower = core.events.follow(PROJECT, position)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02 if len(seen) < EVENTS else 0.001), contextlib.aclosing(follower):
                    wanted = random.randrange(1, 4)
                    async for told in follower:
                        if isinstance(told, JobEventRecord):
                            position = told.position
                            if told.type == "told":
                                seen.append(told)
                                wanted -= 1
                        elif isinstance(told, StreamStarted):
                            position = Position(0, 0)
                            break
                        if wanted == 0:
                            break
        await asyncio.gather(*writing)
    numbers_seen = [event.data for event in seen]
    assert sorted(numbers_seen) == list(range(EVENTS)), "a gap or a repeat"
    assert [event.position for event in seen] == sorted(event.position for event in seen)


async def test_reader_that_does_not_read_is_reset_and_holds_up_nobody(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = runtime.services
    monkeypatch.setattr(runtime.stream, "_max_buffered", 5)
    slow, quick = core.events.follow(PROJECT), core.events.follow(PROJECT)
    assert isinstance(await anext(slow), StreamStarted)
    assert isinstance(await anext(quick), StreamStarted)
    made = []
    for _ in range(12):
        made.append((await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"))).job.id)
        told = await asyncio.wait_for(anext(quick), 10)
        assert isinstance(told, JobEventRecord)
        assert told.job_id == made[-1]
    async with asyncio.timeout(10):
        rest = [told async for told in slow]
    assert isinstance(rest[-1], Reset)
    assert len(rest) == 1
    await quick.aclose()


async def test_nobody_asks_the_database_when_nobody_follows(runtime: Runtime) -> None:
    reads = 0

    async def counted(_: object) -> object:
        nonlocal reads
        reads += 1
        raise AssertionError("unexpected")

    stream = EventStream(runtime.database)
    stream._database = type("Counted", (), {"read": staticmethod(counted)})()
    turning = asyncio.create_task(stream.run_once())
    stream.changed([JobRef(PROJECT, new_id())])
    await asyncio.wait_for(turning, 5)
    assert reads == 0


async def test_the_event_of_its_end_comes_after_the_ended_job(runtime: Runtime) -> None:
    """Also when the job ends between two reads: who has that event is told nothing more (204)."""
    core = runtime.services
    job = (await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"))).job
    following = core.events.follow_job(PROJECT, job.id)
    assert isinstance(await anext(following), StreamStarted)
    snapshot = await anext(following)
    assert isinstance(snapshot, Job)
    assert not snapshot.terminal
    await core.jobs.cancel(PROJECT, job.id, by="test", queues=None)
    async with asyncio.timeout(10):
        rest = [told async for told in following]
    assert [(type(told), getattr(told, "type", "")) for told in rest] == [(Job, "t"), (JobEventRecord, "job.cancelled")]


async def test_drain_ends_every_stream(runtime: Runtime) -> None:
    core = runtime.services
    job = (await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"))).job
    project, single = core.events.follow(PROJECT), core.events.follow_job(PROJECT, job.id)
    await anext(project)
    assert isinstance(await anext(single), StreamStarted)
    await anext(single)

    async def rest(stream: AsyncIterator[object]) -> list[object]:
        return [told async for told in stream]

    reading = asyncio.gather(rest(project), rest(single))
    await asyncio.sleep(0)
    runtime.drain()
    assert not any(await asyncio.wait_for(reading, 5))
    assert len(runtime.stream) == 0
    assert len(runtime.waiters) == 0


async def test_streams_end_with_their_clients_and_with_the_service(start_service: StartService) -> None:
    """Two hundred streams: half of their clients vanish and leave nothing; the rest end with the process, at once."""
    service = await start_service()
    async with service.client() as api:
        opened = []
        for n in range(200):
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(
                f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.api_key}\r\n\r\n".encode()
            )
            assert b" 200 " in await asyncio.wait_for(reader.readline(), 10)
            opened.append((reader, writer))
            if n % 2:
                writer.transport.abort()

        async def streams() -> int:
            lines = (await api.get("/metrics")).text.splitlines()
            return int(float(next(line for line in lines if line.startswith("jobtrack_open_streams")).split()[-1]))

        async with asyncio.timeout(5):
            while await streams() != 100:
                await asyncio.sleep(0.05)
    began = asyncio.get_running_loop().time()
    await asyncio.to_thread(service.stop)
    assert asyncio.get_running_loop().time() - began < 5
    for n, (reader, writer) in enumerate(opened):
        if not n % 2:
            assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"0\r\n\r\n")
            writer.close()
