"""`expected_seconds` and `overdue` on the wire: bounds, lists, waits, histories."""

from typing import Any

import httpx
import pytest

from app.api.fields import MAX_EXPECTED_SECONDS
from app.api.jobs.list_wire import JobList
from app.api.jobs.wire import Waited
from app.api.wire import JobDetail
from tests.api.conftest import Claim, Create


async def test_job_that_takes_longer_than_expected_says_so_everywhere(
    api: httpx.AsyncClient, create: Create, claim: Claim, queue: str
) -> None:
    job = await create(expected_seconds=1)
    assert (job["expected_seconds"], job["overdue"]) == (1, False)
    claimed = await claim()
    versions = {job["id"]: claimed["version"]}

    answer = await api.post(
        "/v1/jobs/wait", json={"ids": [job["id"]], "until": "change", "versions": versions, "wait": 20}
    )

    [waited] = Waited.model_validate(answer.json()).jobs
    assert (waited.overdue, waited.status, waited.version) == (True, "dispatched", claimed["version"] + 1)
    [listed] = JobList.model_validate((await api.get("/v1/jobs", params={"queue": queue})).json()).jobs
    read = JobDetail.model_validate((await api.get(f"/v1/jobs/{job['id']}")).json())
    assert listed.overdue
    assert read.overdue
    events = (await api.get(f"/v1/jobs/{job['id']}/events")).json()["events"]
    [overdue] = [event for event in events if event["type"] == "job.overdue"]
    assert (overdue["from"], overdue["to"], overdue["worker"]) == ("dispatched", "dispatched", "w-1")
    assert overdue["data"] == {"expected_seconds": 1}

    ending = await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": claimed["lease"]["token"]})
    assert ending.json()["overdue"] is True
    rerun = await api.post(f"/v1/jobs/{job['id']}/rerun")
    assert (rerun.json()["expected_seconds"], rerun.json()["overdue"]) == (1, False)


@pytest.mark.parametrize("expected", [0, -1, MAX_EXPECTED_SECONDS + 1, 1.5, "60", True])
async def test_bad_expectation_is_refused_for_jobs_and_queues(
    api: httpx.AsyncClient, queue: str, expected: Any
) -> None:
    for answer in (
        await api.post("/v1/jobs", json={"type": "t", "queue": queue, "expected_seconds": expected}),
        await api.put(f"/v1/queues/{queue}", json={"expected_seconds": expected}),
    ):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/expected_seconds"
    batch = await api.post("/v1/jobs/batch", json={"jobs": [{"type": "t", "expected_seconds": expected}]})
    [row] = batch.json()["results"]
    assert row["problem"]["status"] == 422


@pytest.mark.parametrize("expected", [1, MAX_EXPECTED_SECONDS, None])
async def test_expectation_of_a_queue_is_that_of_its_new_jobs(
    api: httpx.AsyncClient, create: Create, queue: str, expected: int | None
) -> None:
    rules = (await api.put(f"/v1/queues/{queue}", json={"expected_seconds": expected})).json()
    assert rules["expected_seconds"] == expected
    assert (await create())["expected_seconds"] == expected
    assert (await create(expected_seconds=9))["expected_seconds"] == 9
    batch = await api.post("/v1/jobs/batch", json={"jobs": [{"type": "t", "queue": queue, "expected_seconds": 5}]})
    assert batch.json()["results"][0]["job"]["expected_seconds"] == 5
