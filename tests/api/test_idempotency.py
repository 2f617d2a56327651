"""An Idempotency-Key makes a repeat harmless, whatever the call does."""

import asyncio
import uuid
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from app.api import document
from tests.api.conftest import Claim, Create

REPLAYED = "idempotency-replayed"


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def test_every_unsafe_operation_declares_the_header() -> None:
    for path, operations in document.openapi()["paths"].items():
        for method, operation in operations.items():
            names = [parameter["name"] for parameter in operation.get("parameters", ())]
            takes_key = method != "get" and path not in {"/v1/jobs/wait", "/v1/sessions/codes"}
            assert names.count("Idempotency-Key") == takes_key, (method, path)


async def test_batch_is_made_once(api: httpx.AsyncClient, queue: str) -> None:
    body: dict[str, Any] = {"jobs": [{"type": "t", "queue": queue}, {}, {"type": "u", "queue": queue}]}
    headers = key()
    first, again = [await api.post("/v1/jobs/batch", json=body, headers=headers) for _ in range(2)]
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    ids = [[row.get("job", {}).get("id") for row in answer.json()["results"]] for answer in (first, again)]
    assert ids[0] == ids[1]
    assert len((await api.get("/v1/jobs", params={"queue": queue})).json()["jobs"]) == 2
    body["jobs"].pop()
    for rows in (body["jobs"], [*body["jobs"], {"type": "v", "queue": queue}] * 2):
        other = await api.post("/v1/jobs/batch", json={"jobs": rows}, headers=headers)
        assert (other.status_code, other.json()["errors"][0]["code"]) == (422, "idempotency_key_reused")
    assert len((await api.get("/v1/jobs", params={"queue": queue})).json()["jobs"]) == 2


async def test_failure_whose_answer_was_lost_is_answered_again(
    api: httpx.AsyncClient, create: Create, claim: Claim
) -> None:
    job = await create(retry={"delay_seconds": 3600})
    token = (await claim())["lease"]["token"]
    path, body, headers = f"/v1/jobs/{job['id']}/fail", {"token": token, "code": "c", "message": "m"}, key()
    first, again = [await api.post(path, json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers[REPLAYED] == "true"
    assert again.json() == first.json()
    assert (await api.post(path, json=body)).json()["code"] == "lease_lost"
    reused = await api.post(path, json={**body, "message": "other"}, headers=headers)
    assert (reused.status_code, reused.json()["errors"][0]["code"]) == (422, "idempotency_key_reused")


async def test_log_lines_of_a_repeat_are_written_once(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    job = await create()
    token = (await claim())["lease"]["token"]
    body, headers = {"token": token, "logs": [{"message": "once"}]}, key()
    for _ in range(3):
        answer = await api.post(f"/v1/jobs/{job['id']}/report", json=body, headers=headers)
        assert answer.json()["status"] == "running"
    rows = {"reports": [{"job_id": job["id"], "action": "report", **body}]}
    batch = key()
    answers = [await api.post("/v1/reports", json=rows, headers=batch) for _ in range(2)]
    assert [REPLAYED in answer.headers for answer in answers] == [False, True]
    lines = (await api.get(f"/v1/jobs/{job['id']}/logs")).json()["logs"]
    assert [line["message"] for line in lines] == ["once", "once"]


async def test_refused_call_leaves_its_key_free(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    job = await create()
    token = (await claim())["lease"]["token"]
    headers, path = key(), f"/v1/jobs/{job['id']}/release"
    assert (await api.post(path, json={"token": str(uuid.uuid4())}, headers=headers)).status_code == 409
    assert (await api.post(path, json={"token": token}, headers=headers)).status_code == 200


async def test_claim_whose_answer_was_lost_gets_the_same_jobs(
    api: httpx.AsyncClient, create: Create, queue: str
) -> None:
    for _ in range(3):
        await create()
    body, headers = {"worker": "w", "queues": [queue], "max": 2}, key()
    first, again = [(await api.post("/v1/claims", json=body, headers=headers)).json()["jobs"] for _ in range(2)]
    assert len(first) == 2
    assert {job["id"]: job["lease"]["token"] for job in again} == {job["id"]: job["lease"]["token"] for job in first}
    done = first[0]
    await api.post(f"/v1/jobs/{done['id']}/complete", json={"token": done["lease"]["token"]})
    left = (await api.post("/v1/claims", json=body, headers=headers)).json()["jobs"]
    assert [job["id"] for job in left] == [first[1]["id"]]


async def test_rerun_beside_one_of_the_failed_items_is_told_which_one_is_live(
    api: httpx.AsyncClient, create: Create, claim: Claim
) -> None:
    job = await create(items=[{"key": "a"}, {"key": "b"}])
    token = (await claim())["lease"]["token"]
    await api.post(f"/v1/jobs/{job['id']}/report", json={"token": token, "items": [{"key": "a", "status": "failed"}]})
    await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": token})
    path = f"/v1/jobs/{job['id']}/rerun"
    live = (await api.post(path, json={"only_failed_items": True})).json()
    refused = await api.post(path)
    assert (refused.status_code, refused.json()["job"]["id"]) == (409, live["id"])
    assert "its failed items only" in refused.json()["detail"]


async def test_key_is_for_the_whole_path_and_the_query(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    headers, names = key(), [f"{queue}?a", f"{queue}?b"]
    for name in names:
        await create(queue=name)
        paused = await api.post(f"/v1/queues/{quote(name, safe='')}/pause", headers=headers)
        assert (paused.json()["paused"], REPLAYED in paused.headers) == (True, False)
    made = (await api.post("/v1/keys", json={"name": "n", "scopes": ["read"]})).json()
    path, project = f"/v1/keys/{made['id']}", made["project_id"]
    assert (await api.delete(path, headers=headers)).status_code == 204
    other = await api.delete(path, params={"project_id": project}, headers=headers)
    assert (other.status_code, other.json()["errors"][0]["code"]) == (422, "idempotency_key_reused")


async def test_repeats_at_once_do_it_once(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    for _ in range(8):
        await create()
    body, headers = {"worker": "w", "queues": [queue], "max": 1}, key()
    answers = await asyncio.gather(*(api.post("/v1/claims", json=body, headers=headers) for _ in range(8)))
    told = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency_in_progress"}
    assert len({job["id"] for answer in told for job in answer.json()["jobs"]}) == 1


async def test_key_is_made_once_and_shown_once(api: httpx.AsyncClient) -> None:
    headers = key()
    first, again = [
        await api.post("/v1/keys", json={"name": "n", "scopes": ["read"]}, headers=headers) for _ in range(2)
    ]
    assert first.json()["key"].startswith("jt_")
    assert again.json() == {**first.json(), "key": None}
    assert again.headers[REPLAYED] == "true"


async def test_project_is_made_once(api: httpx.AsyncClient) -> None:
    headers = key()
    first, again = [await api.post("/v1/projects", json={"name": "n"}, headers=headers) for _ in range(2)]
    assert again.json() == first.json()
    assert again.headers[REPLAYED] == "true"


@pytest.mark.parametrize("value", ["", "x" * 256, "a b"])
async def test_key_that_is_none_is_malformed(api: httpx.AsyncClient, value: str) -> None:
    for path, body in (("/v1/claims", {"worker": "w"}), ("/v1/jobs/batch", {"jobs": [{"type": "t"}]})):
        answer = await api.post(path, json=body, headers={"Idempotency-Key": value})
        assert answer.status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "other"),
    [
        ("/v1/claims", {"worker": "w", "max": 1}, {"worker": "w", "max": 2}),
        ("/v1/keys", {"name": "n", "scopes": ["read"]}, {"name": "n", "scopes": ["admin"]}),
        ("/v1/projects", {"name": "n"}, {"name": "m"}),
    ],
    ids=["claims", "keys", "projects"],
)
async def test_key_of_another_request_is_refused(
    api: httpx.AsyncClient, create: Create, queue: str, path: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    await create()
    queues, headers = {"queues": [queue]} if path == "/v1/claims" else {}, key()
    assert (await api.post(path, json=body | queues, headers=headers)).is_success
    reused = await api.post(path, json=other | queues, headers=headers)
    assert (reused.status_code, reused.json()["errors"][0]["code"]) == (422, "idempotency_key_reused")
