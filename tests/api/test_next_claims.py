"""The end of an attempt and the next claim in one call."""

import contextlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import Request

from app.api.workers.claim_wire import EndedOut
from app.api.workers.wire import ReportResults
from tests.api.conftest import Claim, Create
from tests.conftest import CreateDatabase
from tests.inside_service import serve_inside

End = Callable[..., Awaitable[httpx.Response]]
FIELDS: dict[str, dict[str, Any]] = {
    "complete": {"result": {"n": 1}},
    "fail": {"code": "c", "message": "m"},
    "release": {},
}
ENDS_AS = {"complete": "completed", "fail": "retrying", "release": "pending"}


@pytest.fixture
def end(api: httpx.AsyncClient) -> End:
    async def end(job: dict[str, Any], how: str, claim: object = None, **headers: str) -> httpx.Response:
        body = {"token": job["lease"]["token"], **FIELDS[how]} | ({} if claim is None else {"claim": claim})
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await api.post(f"/v1/jobs/{job['id']}/{how}", json=body, headers=names)

    return end


async def held(api: httpx.AsyncClient, job: dict[str, Any]) -> str:
    found = (await api.get(f"/v1/jobs/{job['id']}")).json()
    return str(found["status"])


@pytest.mark.parametrize("how", FIELDS)
async def test_end_of_an_attempt_claims_the_next_job_for_the_same_worker(
    create: Create, claim: Claim, end: End, queue: str, how: str
) -> None:
    await create(priority=9)
    first = await claim(worker="same")
    second = await create(priority=5, payload={"x": 1})
    answer = await end(first, how, {"queues": [queue], "lease_seconds": 77})
    assert answer.status_code == 200, answer.text
    EndedOut.model_validate(answer.json())
    assert (answer.json()["id"], answer.json()["status"]) == (first["id"], ENDS_AS[how])
    [taken] = answer.json()["claimed"]
    if how == "release":
        # It has gone before the other: by its priority, it is the next.
        assert taken["id"] == first["id"]
        return
    assert (taken["id"], taken["worker"], taken["payload"]) == (second["id"], "same", {"x": 1})
    assert 70 < taken["lease"]["expires_in_seconds"] <= 77
    again = await end(taken, "complete", {"queues": [queue]})
    assert (again.json()["status"], again.json()["claimed"]) == ("completed", [])


async def test_end_without_a_claim_answers_as_ever(create: Create, claim: Claim, end: End) -> None:
    await create()
    assert "claimed" not in (await end(await claim(), "complete")).json()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"max": 3}, 422),
        ({"queues": [], "types": ["t"]}, 422),
        ({"queues": ["q"], "wait": 5}, 422),
        ({"queues": ["q"], "worker": "w"}, 422),
        ({"queues": ["q"], "job_ids": ["x"]}, 422),
        ({"queues": ["q"], "lease_seconds": None}, 422),
    ],
)
async def test_claim_that_is_wrong_ends_nothing(
    api: httpx.AsyncClient, create: Create, claim: Claim, end: End, body: dict[str, Any], status: int
) -> None:
    job = await create()
    assert (await end(await claim(), "complete", body)).status_code == status
    assert await held(api, job) == "dispatched"


async def test_end_that_is_refused_claims_nothing(
    api: httpx.AsyncClient, create: Create, claim: Claim, end: End, queue: str
) -> None:
    await create(priority=9)
    first = await claim()
    second = await create()
    lost = first | {"lease": {"token": str(uuid.uuid4())}}
    assert (await end(lost, "complete", {"queues": [queue]})).status_code == 409
    assert await held(api, second) == "pending"


async def test_repeat_claims_nothing_and_is_the_same_call_with_another_claim(
    api: httpx.AsyncClient, create: Create, claim: Claim, end: End, queue: str
) -> None:
    await create(priority=9)
    first = await claim()
    ended = await end(first, "complete")
    second = await create()
    repeat = await end(first, "complete", {"queues": [queue]})
    assert repeat.status_code == 200, repeat.text
    assert repeat.json() == ended.json() | {"claimed": []}
    assert await held(api, second) == "pending"


async def test_repeat_under_a_key_gets_the_jobs_of_the_first_call_that_are_still_held(
    create: Create, claim: Claim, end: End, queue: str
) -> None:
    await create(priority=9)
    first = await claim()
    key = str(uuid.uuid4())
    made = [await create() for _ in range(2)]
    answer = await end(first, "complete", {"queues": [queue], "max": 2, "lease_seconds": 300}, idempotency_key=key)
    taken = answer.json()["claimed"]
    assert {job["id"] for job in taken} == {job["id"] for job in made}
    await end(taken[0], "complete")
    await create()
    repeat = await end(first, "complete", {"queues": [queue], "max": 100}, idempotency_key=key)
    assert repeat.headers["Idempotency-Replayed"] == "true"
    [still] = repeat.json()["claimed"]
    assert (still["id"], still["lease"]["token"]) == (taken[1]["id"], taken[1]["lease"]["token"])
    assert still["lease"]["expires_in_seconds"] <= 300


async def test_claim_of_an_end_obeys_pause_limits_and_the_keys_queues(
    api: httpx.AsyncClient, create: Create, claim: Claim, end: End, queue: str
) -> None:
    assert (await api.put(f"/v1/queues/{queue}", json={"concurrency_limit": 1})).status_code == 200
    await create(priority=9)
    # It waits until the service has heard of the limit, which takes it a second at most.
    first = await claim(wait=20)
    await create()
    # The place that has just been freed is the only one.
    [second] = (await end(first, "complete", {"queues": [queue], "max": 5})).json()["claimed"]
    await create()
    assert (await api.post(f"/v1/queues/{queue}/pause")).status_code == 200
    assert (await end(second, "complete", {"queues": [queue]})).json()["claimed"] == []
    assert (await api.post(f"/v1/queues/{queue}/resume")).status_code == 200
    third = await claim()
    key = (await api.post("/v1/keys", json={"name": "n", "scopes": ["work"], "queues": [queue]})).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    body = {"token": third["lease"]["token"], "claim": {"queues": ["another"]}}
    refused = await api.post(f"/v1/jobs/{third['id']}/complete", json=body, headers=headers)
    assert (refused.status_code, await held(api, third)) == (403, "dispatched")
    other = (await api.post("/v1/jobs", json={"type": "work", "queue": f"other-{queue}"})).json()
    body["claim"] = {"types": ["work"]}
    answer = await api.post(f"/v1/jobs/{third['id']}/complete", json=body, headers=headers)
    assert (answer.json()["claimed"], await held(api, other)) == ([], "pending")


async def test_batch_of_reports_claims_once(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    made = [await create(priority=9) for _ in range(2)]
    body: dict[str, Any] = {"worker": "w", "queues": [queue], "max": 2}
    taken = (await api.post("/v1/claims", json=body)).json()["jobs"]
    rows = [{"job_id": job["id"], "token": job["lease"]["token"], "action": "complete"} for job in taken]
    waiting = [await create() for _ in range(3)]
    sent = {"reports": rows, "claim": body}
    answer = await api.post("/v1/reports", json=sent)
    assert answer.status_code == 200, answer.text
    ReportResults.model_validate(answer.json())
    assert {row["outcome"]["id"] for row in answer.json()["results"]} == {job["id"] for job in made}
    assert len(answer.json()["claimed"]) == 2
    assert (await api.post("/v1/reports", json=sent)).json()["claimed"] == [], "a repeat claims nothing"
    wrong = [row | {"token": str(uuid.uuid4())} for row in rows]
    assert (await api.post("/v1/reports", json=sent | {"reports": wrong})).json()["claimed"] == []
    assert [await held(api, job) for job in waiting].count("pending") == 1
    del body["worker"]
    assert (await api.post("/v1/reports", json={"reports": rows, "claim": body})).status_code == 422


async def test_jobs_of_a_client_that_is_gone_are_given_back(
    create_database: CreateDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve_inside(await create_database()) as inside:
        for priority in (9, 1):
            await inside.client.post("/v1/jobs", json={"type": "t", "queue": "q", "priority": priority})
        claims = {"worker": "w", "queues": ["q"]}
        [first] = (await inside.client.post("/v1/claims", json=claims)).json()["jobs"]

        async def is_gone(_: Request) -> bool:
            return True

        monkeypatch.setattr(Request, "is_disconnected", is_gone)
        body = {"token": first["lease"]["token"], "claim": {"queues": ["q"]}}
        with contextlib.suppress(httpx.HTTPError):
            await inside.client.post(f"/v1/jobs/{first['id']}/complete", json=body)
        monkeypatch.undo()
        assert (await held(inside.client, first)) == "completed"
        [second] = (await inside.client.post("/v1/claims", json=claims | {"wait": 20})).json()["jobs"]
        assert second["attempt"] == 1
