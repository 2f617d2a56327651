"""The clients against the running service."""

import asyncio
import uuid
from typing import Any

import pytest

from jobtrack_client import (
    AlreadyTerminal,
    AsyncJobtrackClient,
    InvalidTransition,
    ItemUpdate,
    JobtrackClient,
    LeaseLost,
    NotFound,
    Unauthorized,
    Unprocessable,
    is_terminal,
)


def test_a_job_from_submission_to_rerun(service: Any, queue: str) -> None:
    with JobtrackClient(service.url, service.api_key) as jobs:
        job = jobs.create_job("convert", queue=queue, payload={"n": 1}, labels={"team": "a"})
        assert (job["status"], is_terminal(job)) == ("pending", False)
        (claimed,) = jobs.claim(worker="w", queues=[queue])
        assert (claimed["id"], claimed["payload"], claimed["checkpoint"]) == (job["id"], {"n": 1}, None)
        token = claimed["lease"]["token"]
        said = jobs.report(
            job["id"],
            token,
            stage="reading",
            progress=40,
            items=[{"key": "a", "status": "completed"}, {"key": "b", "status": "failed", "error_code": "bad"}],
        )
        assert (said["status"], said["cancel_requested"]) == ("running", False)
        done = jobs.complete(job["id"], token, result={"ok": True}, billing={"cost": 1})
        assert (done["status"], is_terminal(done)) == ("completed_with_failures", True)
        read = jobs.get_job(job["id"])
        assert (read["result"], read["billing"]) == ({"ok": True}, {"cost": 1})
        again = jobs.rerun(job["id"], only_failed_items=True)
        assert again["original_job_id"] == job["id"]
        assert jobs.cancel(again["id"])["status"] == "cancelled"


def test_every_item_comes_once_over_pages(service: Any, queue: str) -> None:
    with JobtrackClient(service.url, service.api_key) as jobs:
        job = jobs.create_job("index", queue=queue)
        (claimed,) = jobs.claim(worker="w", queues=[queue])
        for start in (0, 1000):
            items: list[ItemUpdate] = [
                {"key": f"{n:04}", "status": "skipped" if n % 2 else "queued"} for n in range(start, start + 600)
            ]
            jobs.report(job["id"], claimed["lease"]["token"], items=items)
        keys = [item["key"] for item in jobs.iter_items(job["id"])]
        assert len(keys) == len(set(keys)) == 1200
        assert sum(1 for _ in jobs.iter_items(job["id"], status="skipped")) == 600
        jobs.release(job["id"], claimed["lease"]["token"])
        jobs.cancel(job["id"])


def test_refusals_are_errors_of_their_own(service: Any, queue: str) -> None:
    with JobtrackClient(service.url, service.api_key) as jobs:
        for unknown in (str(uuid.uuid4()), "no-id", "a/b"):
            with pytest.raises(NotFound):
                jobs.get_job(unknown)
        with pytest.raises(Unprocessable):
            jobs.create_job("")
        job = jobs.create_job("x", queue=queue)
        (claimed,) = jobs.claim(worker="w", queues=[queue])
        with pytest.raises(InvalidTransition) as live:
            jobs.rerun(job["id"])
        assert live.value.job is not None
        with pytest.raises(LeaseLost):
            jobs.report(job["id"], str(uuid.uuid4()))
        jobs.fail(job["id"], claimed["lease"]["token"], code="c", message="m", retryable=False)
        with pytest.raises(AlreadyTerminal):
            jobs.complete(job["id"], claimed["lease"]["token"])
    with JobtrackClient(service.url, "a-key-that-nobody-has-and-nobody-ever-had") as jobs, pytest.raises(Unauthorized):
        jobs.get_job(job["id"])


def test_one_idempotency_key_makes_one_job(service: Any, queue: str) -> None:
    key = str(uuid.uuid4())
    with JobtrackClient(service.url, service.api_key) as jobs:
        first = jobs.create_job("x", queue=queue, idempotency_key=key)
        assert jobs.create_job("x", queue=queue, idempotency_key=key)["id"] == first["id"]


async def test_waits_answer_when_it_happens(client: AsyncJobtrackClient, queue: str) -> None:
    job = await client.create_job("x", queue=queue)
    change = asyncio.create_task(client.get_job(job["id"], wait=50, if_none_match=job["version"]))
    end = asyncio.create_task(client.wait_jobs([job["id"], str(uuid.uuid4())]))
    await client.cancel(job["id"])
    changed = await change
    assert changed is not None
    assert changed["status"] == "cancelled"
    states = await end
    assert [state["status"] for state in states["jobs"]] == ["cancelled"]
    assert len(states["not_found"]) == 1
    assert await client.get_job(job["id"], if_none_match=changed["version"]) is None


async def test_a_batch_tells_each_its_own_outcome(client: AsyncJobtrackClient, queue: str) -> None:
    jobs = [await client.create_job("x", queue=queue) for _ in range(2)]
    tokens = {job["id"]: job["lease"]["token"] for job in await client.claim(worker="w", queues=[queue], max=2)}
    results = await client.reports(
        [
            {"job_id": jobs[0]["id"], "action": "complete", "token": tokens[jobs[0]["id"]], "result": 1},
            {"job_id": jobs[1]["id"], "action": "report", "token": str(uuid.uuid4())},
        ]
    )
    assert [result["job_id"] for result in results] == [job["id"] for job in jobs]
    assert results[0]["outcome"]["status"] == "completed"
    assert results[1]["problem"]["code"] == "lease_lost"


async def test_health(client: AsyncJobtrackClient) -> None:
    assert await client.health()


async def test_an_end_brings_the_next_jobs(client: AsyncJobtrackClient, queue: str) -> None:
    for _ in range(3):
        await client.create_job("work", queue=queue)
    [first] = await client.claim(worker="w", queues=[queue])
    ended = await client.complete(first["id"], first["lease"]["token"], claim={"queues": [queue]})
    [second] = ended["claimed"]
    both = await client.reports_and_claim(
        [{"job_id": second["id"], "token": second["lease"]["token"], "action": "complete"}],
        {"worker": "w", "queues": [queue]},
    )
    assert [row["job_id"] for row in both["results"]] == [second["id"]]
    assert [job["worker"] for job in both["claimed"]] == ["w"]
