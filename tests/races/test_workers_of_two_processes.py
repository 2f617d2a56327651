"""Workers and pauses as two processes know them: what one heard, the other tells."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.races.calls import claim, create, post
from tests.races.conftest import Pair


@pytest.fixture
def queue() -> str:
    """A queue of the test's own."""
    return f"test-{uuid4()}"


async def worker(client: httpx.AsyncClient, name: str) -> dict[str, Any] | None:
    """A worker as this process tells of it, among all that there are."""
    listed = (await client.get("/v1/workers", params={"limit": 500})).json()["workers"]
    return next((one for one in listed if one["name"] == name), None)


async def reason(client: httpx.AsyncClient, job_id: str) -> str | None:
    answer = await client.get(f"/v1/jobs/{job_id}/waiting")
    assert answer.status_code == 200, answer.text
    found: str | None = answer.json()["reason"]
    return found


async def test_worker_that_asks_both_processes_for_different_queues_is_known_for_both(pair: Pair, queue: str) -> None:
    one, two = f"{queue}/one", f"{queue}/two"
    ids = [await create(pair.first, name) for name in (one, two)]
    await post(pair.first, f"/v1/queues/{one.replace('/', '%2F')}/pause")
    await post(pair.first, f"/v1/queues/{two.replace('/', '%2F')}/pause")
    for client, name in ((pair.first, one), (pair.second, two)):
        await post(client, "/v1/claims", worker=queue, queues=[name])
    async with asyncio.timeout(20):
        while (known := await worker(pair.first, queue)) is None or len(known["queues"]) < 2:
            await asyncio.sleep(0.1)
    assert known == await worker(pair.second, queue)
    assert (known["queues"], known["types"], known["present"]) == ([one, two], None, True)
    for name in (one, two):
        await post(pair.second, f"/v1/queues/{name.replace('/', '%2F')}/resume")
    for client in (pair.first, pair.second):
        assert [await reason(client, job_id) for job_id in ids] == ["behind_others", "behind_others"]


async def test_worker_that_claims_with_its_endings_alone_is_known(pair: Pair, queue: str) -> None:
    await create(pair.first, queue)
    (held,) = await claim(pair.first, queue)
    token = held["lease"]["token"]
    row = {"job_id": held["id"], "action": "complete", "token": token}
    await post(pair.second, "/v1/reports", reports=[row], claim={"worker": queue, "queues": [queue]})
    async with asyncio.timeout(20):
        while (known := await worker(pair.first, queue)) is None:
            await asyncio.sleep(0.1)
    assert (known["queues"], known["held"], known["client"]) == ([queue], 0, pair.second.headers["user-agent"])


async def test_claim_that_waits_at_one_process_gets_the_job_when_a_pause_made_at_the_other_is_over(
    pair: Pair, queue: str
) -> None:
    async with asyncio.timeout(60):
        pausing = await pair.first.put(f"/v1/queues/{queue}", json={"paused": True, "reason": "soon over"})
        assert pausing.json()["paused"] is True
        job_id = await create(pair.first, queue)
        claiming = asyncio.create_task(claim(pair.second, queue, wait=40))
        while await reason(pair.second, job_id) != "queue_paused":
            await asyncio.sleep(0.05)
        soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat(timespec="milliseconds")
        until = (await post(pair.first, f"/v1/queues/{queue}/pause", reason="soon over", until=soon))["until"]
        assert until is None or until[:19] == soon[:19]
        (claimed,) = await claiming
    assert claimed["id"] == job_id
