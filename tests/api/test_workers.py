"""Claims, and the four calls under a lease, alone and in batches."""

import asyncio
import uuid

import httpx

from app.api.wire import JobSummary
from app.api.workers.claim_wire import Claimed
from app.api.workers.wire import ReportedOut, ReportResults
from tests.api.conftest import Claim, Create


async def test_claim_report_complete(create: Create, api: httpx.AsyncClient, queue: str) -> None:
    job = await create(payload={"x": 1})
    claims = await api.post("/v1/claims", json={"worker": "w", "queues": [queue], "types": ["work"]})
    Claimed.model_validate(claims.json())
    [claimed] = claims.json()["jobs"]
    assert claimed["payload"] == {"x": 1}
    token = claimed["lease"]["token"]
    body = {
        "token": token,
        "stage": "embedding",
        "progress": 40,
        "items": [{"key": "a", "status": "completed", "result": {"pages": 3}}],
        "items_total": 4,
        "logs": [{"level": "info", "message": "half"}],
        "checkpoint": {"at": 7},
    }
    told = await api.post(f"/v1/jobs/{job['id']}/report", json=body)
    ReportedOut.model_validate(told.json())
    assert told.json()["status"] == "running"
    assert told.json()["cancel_requested"] is False
    assert 0 < told.json()["lease"]["expires_in_seconds"] <= 30
    read = (await api.get(f"/v1/jobs/{job['id']}")).json()
    assert (read["stage"], read["progress"], read["counts"]["total"]) == ("embedding", 40, 4)
    done = await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": token, "result": [1], "billing": {"c": 2}})
    JobSummary.model_validate(done.json())
    again = await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": token, "result": [1], "billing": {"c": 2}})
    assert (again.status_code, again.json()["status"]) == (200, "completed")
    read = (await api.get(f"/v1/jobs/{job['id']}")).json()
    assert (read["result"], read["billing"]) == ([1], {"c": 2})


async def test_failed_attempt_is_tried_again_with_its_checkpoint(
    create: Create, claim: Claim, api: httpx.AsyncClient
) -> None:
    job = await create(retry={"delay_seconds": 0})
    token = (await claim())["lease"]["token"]
    await api.post(f"/v1/jobs/{job['id']}/report", json={"token": token, "checkpoint": {"at": 7}})
    failed = await api.post(f"/v1/jobs/{job['id']}/fail", json={"token": token, "code": "c", "message": "m"})
    assert failed.json()["status"] == "retrying"
    assert failed.json()["error"] == {"code": "c", "message": "m"}
    second = await claim(wait=20)
    assert (second["attempt"], second["checkpoint"]) == (2, {"at": 7})
    late = await api.post(f"/v1/jobs/{job['id']}/report", json={"token": token})
    assert (late.status_code, late.json()["code"]) == (409, "lease_lost")
    assert late.json()["job"]["attempt"] == 2


async def test_claim_waits_for_work(create: Create, api: httpx.AsyncClient, queue: str) -> None:
    waiting = asyncio.create_task(api.post("/v1/claims", json={"worker": "w", "queues": [queue], "wait": 20}))
    job = await create()
    answer = await asyncio.wait_for(waiting, 10)
    assert [one["id"] for one in answer.json()["jobs"]] == [job["id"]]


async def test_claim_by_unknown_ids_gets_nothing(api: httpx.AsyncClient, create: Create) -> None:
    await create()
    for ids in (["nonsense"], [str(uuid.uuid4())]):
        answer = await api.post("/v1/claims", json={"worker": "w", "job_ids": ids})
        assert answer.json() == {"jobs": []}


async def test_each_row_of_a_batch_is_judged_alone(create: Create, claim: Claim, api: httpx.AsyncClient) -> None:
    one, two = await create(), await create()
    tokens = {job["id"]: job["lease"]["token"] for job in [await claim(), await claim()]}
    rows = [
        {"job_id": one["id"], "action": "report", "token": tokens[one["id"]], "progress": 10},
        {"job_id": two["id"], "action": "complete", "token": tokens[two["id"]], "result": {"a": 1}},
        {"job_id": one["id"], "action": "report", "token": tokens[one["id"]], "progress": 1000},
        {"job_id": one["id"], "action": "explode", "token": tokens[one["id"]]},
        {"job_id": "nonsense", "action": "release", "token": tokens[one["id"]]},
        {"job_id": one["id"], "action": "fail", "token": str(uuid.uuid4()), "code": "c", "message": "m"},
        {"job_id": one["id"], "action": "report", "token": tokens[one["id"]], "message": "\0"},
        17,
    ]
    answer = await api.post("/v1/reports", json={"reports": rows})
    assert answer.status_code == 200
    ReportResults.model_validate(answer.json())
    results = answer.json()["results"]
    assert [row["job_id"] for row in results] == [*(row["job_id"] for row in rows if isinstance(row, dict)), None]
    assert results[0]["outcome"]["status"] == "running"
    assert results[1]["outcome"]["status"] == "completed"
    problems = [(row["problem"]["status"], row["problem"]["code"]) for row in results[2:]]
    invalid = (422, "invalid")
    assert problems == [invalid, invalid, (404, "not_found"), (409, "lease_lost"), invalid, invalid]
    assert results[2]["problem"]["errors"][0]["pointer"] == "/progress"


async def test_batch_over_its_limit_is_refused_whole(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/reports", json={"reports": [{}] * 1001})
    assert answer.status_code == 422
