"""Creating many jobs in one call, each judged alone."""

import uuid
from typing import Any

import httpx

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
