"""Creating many jobs in one call, each judged alone."""

import uuid
from typing import Any

import httpx
import pytest

from app.api.jobs.wire import CreateResults


async def batch(api: httpx.AsyncClient, jobs: list[Any]) -> list[dict[str, Any]]:
    answer = await api.post("/v1/jobs/batch", json={"jobs": jobs})
    assert answer.status_code == 200, answer.text
    CreateResults.model_validate(answer.json())
    return list(answer.json()["results"])


async def test_each_row_is_accepted_or_refused_alone(api: httpx.AsyncClient, queue: str) -> None:
    good = {"type": "t", "queue": queue, "payload": {"n": 1}}
    results = await batch(
        api,
        [
            good,
            {"queue": queue},
            7,
            {**good, "type": "a\0b"},
            {**good, "priority": 2**40},
            {**good, "nonsense": 1},
            good,
        ],
    )
    assert ["job" in row for row in results] == [True, False, False, False, False, False, True]
    assert results[0]["job"]["payload"] == {"n": 1}
    assert results[0]["job"]["id"] != results[6]["job"]["id"]
    assert results[1]["problem"]["errors"][0]["pointer"] == "/type"
    assert results[4]["problem"]["errors"][0]["pointer"] == "/priority"
    assert all(row["problem"]["status"] == 422 for row in results[1:6])
    listed = (await api.get("/v1/jobs", params={"queue": queue})).json()["jobs"]
    assert {job["id"] for job in listed} == {results[0]["job"]["id"], results[6]["job"]["id"]}


async def test_row_with_more_than_a_mebibyte_is_refused_alone(api: httpx.AsyncClient, queue: str) -> None:
    good = {"type": "t", "queue": queue, "payload": "x" * (2**20 - 2)}
    results = await batch(api, [good, good | {"payload": ["x" * 2**20]}, {"payload": "x" * 2**20}, good])
    assert ["job" in row for row in results] == [True, False, False, True]
    for row in results[1:3]:
        [error] = row["problem"]["errors"]
        assert (row["problem"]["status"], error["pointer"], error["code"]) == (422, "/payload", "payload_too_long")
        assert "1048576 bytes" in error["message"]


@pytest.mark.parametrize("name", ["result", "billing", "checkpoint"])
async def test_report_with_more_than_a_mebibyte_is_refused_alone(api: httpx.AsyncClient, name: str) -> None:
    row = {"type": "t", "engine": "e", "claim": {"worker": "w"}}
    made = [result["job"] for result in await batch(api, [row] * 2)]
    action = "report" if name == "checkpoint" else "complete"
    calls = [
        {"job_id": job["id"], "action": action, "token": job["lease"]["token"], name: "x" * size}
        for job, size in zip(made, (2**20, 2**20 - 2), strict=True)
    ]
    refused, done = (await api.post("/v1/reports", json={"reports": calls})).json()["results"]
    assert refused["problem"]["errors"][0]["pointer"] == f"/{name}"
    assert refused["problem"]["errors"][0]["code"] == f"{name}_too_long"
    assert done["outcome"]["status"] == ("running" if action == "report" else "completed")
    assert (await api.get(f"/v1/jobs/{made[0]['id']}")).json()["status"] == "dispatched"


async def test_row_created_claimed_shows_its_lease(api: httpx.AsyncClient) -> None:
    row = {"type": "t", "engine": "e", "claim": {"worker": "w"}}
    [result] = await batch(api, [row])
    token = result["job"]["lease"]["token"]
    done = await api.post(f"/v1/jobs/{result['job']['id']}/complete", json={"token": token})
    assert done.status_code == 200


async def test_thousand_rows_and_no_more(api: httpx.AsyncClient, queue: str) -> None:
    rows = [{"type": "t", "queue": queue} for _ in range(1000)]
    results = await batch(api, rows)
    assert len({row["job"]["id"] for row in results}) == 1000
    for wrong in ([], [*rows, rows[0]]):
        assert (await api.post("/v1/jobs/batch", json={"jobs": wrong})).status_code == 422
    assert (await api.post("/v1/jobs/cancel", json={"queue": [queue]})).json()["changed"] == 1000
    assert (await api.get(f"/v1/jobs/{uuid.uuid4()}")).status_code == 404
