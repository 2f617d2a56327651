"""Queues whose limit leaves no place, over a socket: what is refused, and what a pause does not stop."""

import uuid
from typing import Any

import httpx
import pytest
import pytest_asyncio

from jobtrack_client import LeaseLost, QueueFull
from jobtrack_client.errors import from_problem
from tests.api.conftest import Create

CLAIM = {"worker": "w", "lease_seconds": 30}


def token(job: dict[str, Any]) -> dict[str, Any]:
    return {"token": job["lease"]["token"]}


@pytest_asyncio.fixture
async def held(api: httpx.AsyncClient, create: Create, queue: str) -> dict[str, Any]:
    """The job that has the queue's only place."""
    await api.put(f"/v1/queues/{queue}", json={"concurrency_limit": 1})
    return await create(claim=CLAIM)


async def test_creation_with_a_claim_is_refused_until_there_is_a_place(
    api: httpx.AsyncClient, create: Create, queue: str, held: dict[str, Any]
) -> None:
    body = {"type": "work", "queue": queue, "claim": CLAIM}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    refused = await api.post("/v1/jobs", json=body, headers=key)
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["retryable"]) == (409, "queue_full", True)
    assert queue in problem["detail"]
    assert "`concurrency_limit` of 1" in problem["detail"]
    assert int(refused.headers["retry-after"]) >= 1
    assert type(from_problem(409, problem, "here")) is QueueFull
    assert (await create())["status"] == "pending"
    await api.post(f"/v1/jobs/{held['id']}/complete", json=token(held))
    assert (await api.post("/v1/jobs", json=body, headers=key)).status_code == 201


@pytest.mark.usefixtures("held")
async def test_row_of_a_batch_is_refused_alone(api: httpx.AsyncClient, queue: str) -> None:
    rows = [{"type": "work", "queue": queue}, {"type": "work", "queue": queue, "claim": CLAIM}]
    results = (await api.post("/v1/jobs/batch", json={"jobs": rows})).json()["results"]
    assert results[0]["job"]["status"] == "pending"
    assert (results[1]["problem"]["code"], results[1]["problem"]["status"]) == ("queue_full", 409)


async def test_worker_that_comes_back_finds_its_place_taken_and_may_still_end_its_job(
    api: httpx.AsyncClient, create: Create, queue: str
) -> None:
    await api.put(f"/v1/queues/{queue}", json={"concurrency_limit": 1})
    late = await create(claim=CLAIM | {"lease_seconds": 1})
    while (await api.get(f"/v1/jobs/{late['id']}", params={"wait": 1})).json()["status"] != "retrying":
        pass
    # By id, for the late job itself is the first that a claim by queue would take.
    other = await create()
    claimed = await api.post("/v1/claims", json={"worker": "w", "job_ids": [other["id"]], "wait": 10})
    assert [job["id"] for job in claimed.json()["jobs"]] == [other["id"]]
    refused = await api.post(f"/v1/jobs/{late['id']}/report", json=token(late))
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["job"]["status"]) == (409, "lease_lost", "retrying")
    assert "concurrency_limit" in problem["detail"]
    assert type(from_problem(409, problem, "here")) is LeaseLost
    rows = [{"job_id": late["id"], "action": "report", **token(late)}]
    [row] = (await api.post("/v1/reports", json={"reports": rows})).json()["results"]
    assert row["problem"]["code"] == "lease_lost"
    completed = await api.post(f"/v1/jobs/{late['id']}/complete", json=token(late))
    assert (completed.status_code, completed.json()["status"]) == (200, "completed")


async def test_pause_stops_neither_claims_by_id_nor_creations_with_a_claim(
    api: httpx.AsyncClient, create: Create, queue: str
) -> None:
    await api.put(f"/v1/queues/{queue}", json={"paused": True})
    job = await create()
    by_queue = await api.post("/v1/claims", json={"worker": "w", "queues": [queue]})
    assert by_queue.json()["jobs"] == []
    assert (await create(claim=CLAIM))["status"] == "dispatched"
    by_id = await api.post("/v1/claims", json={"worker": "w", "job_ids": [job["id"]]})
    assert [claimed["id"] for claimed in by_id.json()["jobs"]] == [job["id"]]
