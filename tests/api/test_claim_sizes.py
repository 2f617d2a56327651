"""A claim takes as many jobs as its answer holds, and leaves the others as they are."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.conftest import SMALL_ANSWER
from tests.service_process import ServiceProcess

PART = "x" * 15_000
"""Four of these fit."""
Create = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
def service(small_service: ServiceProcess) -> ServiceProcess:
    """The service that these tests talk to."""
    return small_service


async def take(api: httpx.AsyncClient, key: str | None = None, **fields: Any) -> list[dict[str, Any]]:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = await api.post("/v1/claims", json={"worker": "w", "max": 100, **fields}, headers=headers)
    assert answer.status_code == 200, answer.text
    jobs: list[dict[str, Any]] = answer.json()["jobs"]
    assert len(answer.content) <= SMALL_ANSWER or len(jobs) == 1
    return jobs


@pytest.mark.parametrize("by_id", [False, True])
async def test_what_is_not_handed_out_is_not_leased(
    api: httpx.AsyncClient, create: Create, queue: str, by_id: bool
) -> None:
    sizes = [PART] * 6 + ["y" * 100_000] + ["short"] * 3
    made = [await create(payload={"a": text}) for text in sizes]
    ids = [job["id"] for job in made]
    which = {"job_ids": ids} if by_id else {"queues": [queue]}
    for expected in (ids[:4], ids[4:6], ids[6:7], ids[7:], []):
        claimed = await take(api, **which)
        assert [job["id"] for job in claimed] == expected
        left = ids[ids.index(expected[-1]) + 1 :] if expected else []
        for job in made[-len(left) :] if left else ():
            assert (await api.get(f"/v1/jobs/{job['id']}")).json() == {k: v for k, v in job.items() if k != "lease"}
            assert len((await api.get(f"/v1/jobs/{job['id']}/events")).json()["events"]) == 1
    held = await api.get("/v1/jobs", params={"queue": queue, "status": "dispatched"})
    assert [job["id"] for job in held.json()["jobs"]] == ids[::-1]


async def test_checkpoints_and_labels_count(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    for _ in range(6):
        await create(labels={f"n{n}": "\x01" * 250 for n in range(5)})
    first = await take(api, queues=[queue])
    assert len(first) == 6
    for job in first:
        body = {"token": job["lease"]["token"]}
        await api.post(f"/v1/jobs/{job['id']}/report", json=body | {"checkpoint": {"at": PART}})
        await api.post(f"/v1/jobs/{job['id']}/release", json=body)
    second = await take(api, queues=[queue])
    assert len(second) == 2
    assert second[0]["checkpoint"] == {"at": PART}


async def test_claims_that_come_together_get_a_job_each(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    ids = {(await create(payload={"a": PART}))["id"] for _ in range(9)}
    taken = await asyncio.gather(*(take(api, queues=[queue]) for _ in range(3)))
    assert all(taken)
    assert sorted(job["id"] for jobs in taken for job in jobs) == sorted(ids)


async def test_repeated_claim_is_as_small_as_any(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    for _ in range(3):
        await create()
    first = await take(api, key="again", queues=[queue])
    assert len(first) == 3
    for job in first:
        report = {"token": job["lease"]["token"], "checkpoint": {"at": PART * 2}}
        assert (await api.post(f"/v1/jobs/{job['id']}/report", json=report)).status_code == 200
    again = await take(api, key="again", queues=[queue])
    assert [job["lease"]["token"] for job in again] == [job["lease"]["token"] for job in first[:2]]
