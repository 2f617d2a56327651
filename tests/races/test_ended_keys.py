"""A key that ends at one process ends, within two seconds, everything that it holds open at another.

What has sent nothing is answered with 401. What has begun as 200 is cut, which is no proper end.
"""

import asyncio
import inspect
import json
import re
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import dialects
from app.api import document
from jobtrack_client import AsyncJobtrackClient, Unauthorized
from tests.api.route_list import routes
from tests.conftest import CreateDatabase
from tests.inside_service import serve_inside
from tests.races.calls import LISTENING, claim, create, cut, post
from tests.races.conftest import Pair
from tests.races.held_calls import CALLS, INPUT, Held, held_by

LIMIT_SECONDS = 2.5
"""Two are promised; with room for a slow machine."""
READY_SECONDS = 20.0
HOLDING = re.compile(r"while_connected|held_json_response|EventStreamResponse|limited_stream|inputs\.open\(")


def test_every_operation_that_holds_something_is_called() -> None:
    routers = (*document.ROUTERS, *(dialect.router for dialect in dialects.discover(None)))
    found = {
        str(route.operation_id)
        for router in routers
        for route in routes(router)
        if HOLDING.search(inspect.getsource(route.endpoint))
    }
    assert found == {call.operation for call in CALLS}


@dataclass
class Scene:
    """Calls that are all held at the second process, under one key."""

    key: dict[str, Any]
    queue: str
    calls: list[Held]

    async def wrong_ends(self, seconds: float) -> list[tuple[str, int]]:
        """Read all answers to their ends; returns those that did not end as they are to."""
        # A download is held open by not being read: it is read when all others have ended.
        calls = sorted(self.calls, key=lambda held: held.call.operation == "jobs_get_input")
        async with asyncio.timeout(seconds):
            ends = [*await asyncio.gather(*(held.end() for held in calls[:-1])), await calls[-1].end()]
        called = zip(calls, ends, strict=True)
        return [(held.call.request, end) for held, end in called if end != held.call.ends_with]


async def hold_all(pair: Pair, expires_at: str | None = None) -> Scene:
    queue = f"held-{uuid.uuid4()}"
    job_id: str = await create(pair.first, f"other-{uuid.uuid4()}")
    assert (await pair.first.put(f"/v1/jobs/{job_id}/input", content=INPUT)).status_code == 201
    scopes = ["read", "submit", "work"]
    key = await post(pair.first, "/v1/keys", name="ends", scopes=scopes, expires_at=expires_at)
    names = {"JOB": job_id, "QUEUE": queue, "COLLECTION": str(uuid.uuid4())}
    before = await held_by(pair.second)
    calls = [await Held.open(pair.second, key["key"], call, **names) for call in CALLS]
    async with asyncio.timeout(READY_SECONDS):
        while await held_by(pair.second) < before + len(CALLS):
            await asyncio.sleep(0.01)
    # Counted as held is not yet waiting: the first look of the open claim is over when that of a later one is.
    assert not await claim(pair.second, queue)
    return Scene(key, queue, calls)


async def end_key(pair: Pair, scene: Scene, how: str) -> float:
    """End the key; returns the time at which it ended."""
    path = f"/v1/keys/{scene.key['id']}"
    if how.startswith("revoked"):
        assert (await pair.first.delete(path)).status_code == 204
    elif how == "changed":
        assert (await pair.first.put(path, json={"expires_at": "2001-01-01T00:00:00Z"})).status_code == 200
    else:
        left = datetime.fromisoformat(scene.key["expires_at"]) - datetime.now(UTC)
        return time.monotonic() + left.total_seconds()
    return time.monotonic()


@pytest.mark.parametrize("how", ["revoked", "changed", "expired", "revoked and not heard of"])
async def test_everything_that_a_key_holds_open_ends_with_it_in_every_process(pair: Pair, how: str) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=6)).isoformat() if how == "expired" else None
    scene = await hold_all(pair, soon)
    if "heard" in how:
        await cut(pair, LISTENING)
    ended_at = await end_key(pair, scene, how)
    # At once, so that the offer of this job is as near behind the end of the key as it can be.
    job_id = await create(pair.first, scene.queue) if how in {"revoked", "changed"} else None
    assert not await scene.wrong_ends(ended_at - time.monotonic() + LIMIT_SECONDS)
    assert time.monotonic() > ended_at, "the key had not ended yet"
    job_id = job_id or await create(pair.first, scene.queue)
    [job] = await claim(pair.first, scene.queue, wait=10)
    assert (job["id"], job["attempt"]) == (job_id, 1)
    events = (await pair.first.get(f"/v1/jobs/{job_id}/events")).json()["events"]
    assert [event["type"] for event in events].count("job.claimed") == 1, "the open claim took it and gave it back"


async def test_key_that_goes_on_keeps_what_it_holds_until_its_new_end(pair: Pair) -> None:
    scene = await hold_all(pair)
    path = f"/v1/keys/{scene.key['id']}"
    later = datetime.now(UTC) + timedelta(hours=1)
    assert (await pair.first.put(path, json={"expires_at": later.isoformat()})).status_code == 200
    other = await post(pair.first, "/v1/keys", name="other", scopes=["read"])
    assert (await pair.first.delete(f"/v1/keys/{other['id']}")).status_code == 204
    assert await held_by(pair.second) >= len(CALLS)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    assert (await pair.first.put(path, json={"expires_at": soon.isoformat()})).status_code == 200
    assert not await scene.wrong_ends(1 + LIMIT_SECONDS)
    assert datetime.now(UTC) > soon


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_wait_whose_answer_has_begun_is_cut(create_database: CreateDatabase, version: str) -> None:
    async with serve_inside(await create_database(), space_seconds=0.05) as inside:
        job_id = await create(inside.client, "q")
        key = await post(inside.client, "/v1/keys", name="n", scopes=["read"])
        body = json.dumps({"ids": [job_id], "wait": -1})
        reader, writer = await asyncio.open_connection("127.0.0.1", inside.port)
        head = f"POST /v1/jobs/wait HTTP/{version}\r\nHost: t\r\nAuthorization: Bearer {key['key']}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b" ")
        assert (await inside.client.delete(f"/v1/keys/{key['id']}")).status_code == 204
        # Reset: a closed connection is the proper end of a body before HTTP/1.1.
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), LIMIT_SECONDS)
        writer.close()


async def test_stream_to_a_client_that_knows_no_chunks_is_reset(pair: Pair) -> None:
    key = await post(pair.first, "/v1/keys", name="n", scopes=["read"])
    url = pair.second.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"GET /v1/events HTTP/1.0\r\nAuthorization: Bearer {key['key']}\r\n\r\n".encode())
    await reader.readuntil(b"event: snapshot")
    assert (await pair.first.delete(f"/v1/keys/{key['id']}")).status_code == 204
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), LIMIT_SECONDS)
    writer.close()


async def test_key_that_ends_while_its_body_comes_does_nothing_more(pair: Pair) -> None:
    admin = await post(pair.first, "/v1/keys", name="n", scopes=["admin"])
    body = json.dumps({"name": "heir", "scopes": ["admin"]})
    url = pair.second.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST /v1/keys HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {admin['key']}\r\n"
    writer.write(
        f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"100", "the key is not checked before the body is read"
    assert (await pair.first.delete(f"/v1/keys/{admin['id']}")).status_code == 204
    # As slow as it takes for a key to be checked again: longer than any key is remembered.
    for letter in body:
        writer.write(letter.encode())
        await writer.drain()
        await asyncio.sleep(LIMIT_SECONDS / len(body))
    assert (await reader.readline()).split()[1] == b"401"
    writer.close()


async def test_clients_take_a_cut_for_no_end(create_database: CreateDatabase) -> None:
    async with serve_inside(await create_database(), space_seconds=0.05) as inside:
        job_id = await create(inside.client, "q")
        key = await post(inside.client, "/v1/keys", name="n", scopes=["read", "work"])
        url = str(inside.client.base_url)

        async def read(stream: Any) -> None:
            async for _ in stream:
                pass

        async with AsyncJobtrackClient(url, key["key"]) as client:
            holding = [
                asyncio.create_task(read(client.stream_job(job_id))),
                asyncio.create_task(read(client.stream_events())),
                asyncio.create_task(read(client.follow_logs(job_id))),
                asyncio.create_task(client.wait_jobs([job_id], wait=-1)),
                asyncio.create_task(client.claim(worker="w", queues=["q-empty"], wait=20)),
            ]
            async with asyncio.timeout(READY_SECONDS):
                while len(inside.runtime.services.holds) < len(holding):
                    await asyncio.sleep(0.01)
            assert (await inside.client.delete(f"/v1/keys/{key['id']}")).status_code == 204
            ends = await asyncio.wait_for(asyncio.gather(*holding, return_exceptions=True), READY_SECONDS)
        assert [type(end) for end in ends] == [Unauthorized] * len(holding)
