"""A thousand open waits cost a process no connection to the database, and are gone when their clients are."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest

from app.web.held_response import SPACE_SECONDS
from tests.inside_service import Inside, serve_inside
from tests.races.conftest import Pair
from tests.service_process import API_KEY

WAITS = 1_000
VANISH_SECONDS = 2.0


async def create(client: httpx.AsyncClient) -> dict[str, Any]:
    claim = {"worker": "w", "lease_seconds": 300}
    queue = f"test-{uuid4()}"
    answer = await client.post("/v1/jobs", json={"type": "work", "queue": queue, "engine": "test", "claim": claim})
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


class Waiting:
    """One client that waits on a socket of its own; httpx would cost more than what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, port: int, job_id: str) -> "Waiting":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = json.dumps({"ids": [job_id], "wait": 600}).encode()
        head = (
            f"POST /v1/jobs/wait HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {API_KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        return cls(reader, writer)

    async def answer(self) -> bytes:
        """Everything that came until the server closed."""
        return await self._reader.read()

    def vanish(self) -> None:
        """Go without a word, as a client that was killed."""
        self._writer.transport.abort()


@asynccontextmanager
async def waits(port: int, job_id: str) -> AsyncIterator[list[Waiting]]:
    """A thousand of them, opened some at a time."""
    opened: list[Waiting] = []
    async with AsyncExitStack() as stack:
        for _ in range(WAITS // 100):
            some = await asyncio.gather(*(Waiting.start(port, job_id) for _ in range(100)))
            for one in some:
                stack.callback(one.vanish)
            opened += some
        yield opened


def sockets_of(process: psutil.Process, port: int) -> int:
    """How many clients a service has, whatever the state of their connections."""
    found = [process, *process.children(recursive=True)]
    connections = [c for one in found for c in one.net_connections("tcp") if c.status != psutil.CONN_LISTEN]
    return sum(1 for c in connections if c.laddr.port == port)


async def eventually(condition: Any, seconds: float, what: str) -> None:
    """Poll what only another process knows."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what} took more than {seconds} s") from None


async def test_open_waits_hold_no_connection_and_are_all_answered(pair: Pair) -> None:
    service = pair.processes[0]
    process = psutil.Process(service.process.pid)
    job = await create(pair.first)
    watching = await asyncpg.connect(pair.database_url)
    before = sockets_of(process, service.port)
    async with waits(service.port, job["id"]) as opened:
        await eventually(lambda: sockets_of(process, service.port) >= before + WAITS, 10, "accepting the waits")
        # An answer to a request that came later says that the earlier ones were read.
        assert (await pair.first.get(f"/v1/jobs/{job['id']}")).status_code == 200
        busy, samples = 0, 40
        for _ in range(samples):
            states = await watching.fetch(
                "SELECT state FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'jobtrack'"
            )
            assert "idle in transaction" not in {row["state"] for row in states}
            assert len(states) < 30, "two processes with a pool and a listening connection each"
            busy += sum(row["state"] == "active" for row in states)
            await asyncio.sleep(0.05)
        # What is active now and then is the sweep: one query a second for all of them.
        assert busy <= samples / 4
        done = await pair.second.post(f"/v1/jobs/{job['id']}/complete", json={"token": job["lease"]["token"]})
        assert done.status_code == 200
        async with asyncio.timeout(5):
            answers = await asyncio.gather(*(one.answer() for one in opened))
    await watching.close()
    assert all(b" 200 " in answer[:20] and b'"status":"completed"' in answer for answer in answers)


async def test_vanished_clients_free_their_sockets(pair: Pair) -> None:
    service = pair.processes[1]
    process = psutil.Process(service.process.pid)
    job = await create(pair.second)
    before = sockets_of(process, service.port)
    async with waits(service.port, job["id"]) as opened:
        await eventually(lambda: sockets_of(process, service.port) >= before + WAITS, 10, "accepting the waits")
        for one in opened:
            one.vanish()
        await eventually(lambda: sockets_of(process, service.port) <= before, VANISH_SECONDS, "freeing the sockets")
    assert (await pair.second.get(f"/v1/jobs/{job['id']}")).status_code == 200


@pytest.fixture
async def inside(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Inside]:
    """A service in this process; a test may choose the seconds between two spaces."""
    async with serve_inside(database_url, space_seconds=getattr(request, "param", SPACE_SECONDS)) as service:
        yield service


@pytest.mark.parametrize(
    ("inside", "spaces"),
    [(SPACE_SECONDS, False), (0.1, True)],
    indirect=["inside"],
    ids=["silent", "kept alive by spaces"],
)
async def test_vanished_clients_leave_no_waiter_and_no_task(inside: Inside, spaces: bool) -> None:
    job = await create(inside.client)
    waiters = inside.runtime.waiters
    tasks = len(asyncio.all_tasks())
    async with waits(inside.port, job["id"]) as opened:
        await eventually(lambda: len(waiters) == WAITS, 10, "registering the waits")
        if spaces:
            await asyncio.gather(*(one._reader.readuntil(b"\r\n \r\n") for one in opened))
        for one in opened:
            one.vanish()
        await eventually(lambda: len(waiters) == 0, VANISH_SECONDS, "forgetting the waits")
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks + 5, VANISH_SECONDS, "ending the tasks")
    assert list(waiters.seen_versions()) == []


async def test_a_drain_answers_every_open_wait_with_the_states_as_they_are(inside: Inside) -> None:
    job = await create(inside.client)
    async with waits(inside.port, job["id"]) as opened:
        await eventually(lambda: len(inside.runtime.waiters) == WAITS, 10, "registering the waits")
        inside.runtime.drain()
        async with asyncio.timeout(5):
            answers = await asyncio.gather(*(one.answer() for one in opened))
    assert all(b" 200 " in answer[:20] and b'"status":"dispatched"' in answer for answer in answers)
