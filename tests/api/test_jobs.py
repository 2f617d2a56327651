"""A job's way through the native API: create, read, rerun, cancel."""

import asyncio
import re
import uuid
from typing import Any

import httpx
import pytest

from app.api.jobs.wire import ItemList, JobCreated
from app.api.wire import JobDetail, JobSummary
from tests.api.conftest import Claim, Create

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_created_job_is_where_its_location_says(api: httpx.AsyncClient, queue: str) -> None:
    body = {"type": "work", "queue": queue, "payload": {"a": [1, None]}, "labels": {"k": "v"}, "priority": -3}
    made = await api.post("/v1/jobs", json=body)
    assert made.status_code == 201
    job = made.json()
    JobCreated.model_validate(job)
    assert made.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["status"] == "pending"
    assert job["payload"] == {"a": [1, None]}
    assert job["lease"] is None
    read = await api.get(made.headers["location"])
    assert read.status_code == 200
    JobDetail.model_validate(read.json())
    del job["lease"]
    assert read.json() == job
    for name, value in job.items():
        if name.endswith("_at") and value is not None:
            assert TIME.fullmatch(value), name


async def test_job_created_claimed_carries_its_lease(create: Create, api: httpx.AsyncClient) -> None:
    job = await create(engine="celery", claim={"worker": "celery@1", "lease_seconds": None})
    assert job["status"] == "dispatched"
    assert job["lease"]["expires_in_seconds"] is None
    done = await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": job["lease"]["token"]})
    assert done.json()["status"] == "completed"


async def test_same_idempotency_key_makes_one_job(api: httpx.AsyncClient, queue: str) -> None:
    body = {"type": "work", "queue": queue}
    key = str(uuid.uuid4())
    first = await api.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})
    again = await api.post("/v1/jobs", json=dict(reversed(body.items())), headers={"Idempotency-Key": f'"{key}"'})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    other = await api.post("/v1/jobs", json={**body, "priority": 1}, headers={"Idempotency-Key": key})
    assert other.status_code == 422


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", '""'])
async def test_bad_idempotency_key_is_malformed(api: httpx.AsyncClient, queue: str, key: str) -> None:
    answer = await api.post("/v1/jobs", json={"type": "work", "queue": queue}, headers={"Idempotency-Key": key})
    assert answer.status_code == 400


async def test_known_version_is_not_sent_again(create: Create, api: httpx.AsyncClient) -> None:
    job = await create()
    first = await api.get(f"/v1/jobs/{job['id']}")
    assert first.headers["etag"] == f'"{job["version"]}"'
    same = await api.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": f'W/"x", {first.headers["etag"]}'})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == first.headers["etag"]
    other = await api.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": '"999", nonsense'})
    assert other.status_code == 200


async def test_wait_ends_with_the_job(create: Create, claim: Claim, api: httpx.AsyncClient) -> None:
    job = await create()
    waiting = asyncio.create_task(api.get(f"/v1/jobs/{job['id']}", params={"wait": 30}))
    lease = (await claim())["lease"]
    await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": lease["token"], "result": {"n": 1}})
    answer = await asyncio.wait_for(waiting, 10)
    assert answer.json()["status"] == "completed"
    assert answer.json()["result"] == {"n": 1}
    assert answer.headers["preference-applied"] == "wait=30"


async def test_wait_for_a_change_ends_with_it(create: Create, claim: Claim, api: httpx.AsyncClient) -> None:
    job = await create()
    known = {"If-None-Match": f'"{job["version"]}"'}
    waiting = asyncio.create_task(api.get(f"/v1/jobs/{job['id']}", headers={**known, "Prefer": "wait=30"}))
    await claim()
    answer = await asyncio.wait_for(waiting, 10)
    assert answer.status_code == 200
    assert answer.json()["status"] == "dispatched"
    unchanged = await api.get(
        f"/v1/jobs/{job['id']}", headers={"If-None-Match": answer.headers["etag"]}, params={"wait": 1}
    )
    assert unchanged.status_code == 304


@pytest.mark.parametrize(("asked", "applied"), [("wait=1", "wait=1"), ("respond-async", "wait=0"), ("wait=abc", None)])
async def test_preference_to_wait(create: Create, api: httpx.AsyncClient, asked: str, applied: str | None) -> None:
    job = await create()
    answer = await api.get(f"/v1/jobs/{job['id']}", headers={"Prefer": asked})
    assert answer.status_code == 200
    assert answer.headers.get("preference-applied") == applied
    assert "Prefer" in answer.headers["vary"]


async def test_rerun_makes_a_new_job_of_an_ended_one(create: Create, claim: Claim, api: httpx.AsyncClient) -> None:
    job = await create(payload={"p": 1})
    early = await api.post(f"/v1/jobs/{job['id']}/rerun")
    assert early.status_code == 409
    assert early.json()["code"] == "invalid_transition"
    assert early.json()["job"]["id"] == job["id"]
    token = (await claim())["lease"]["token"]
    await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": token})
    made = await api.post(f"/v1/jobs/{job['id']}/rerun")
    assert made.status_code == 201
    again = made.json()
    assert again["original_job_id"] == job["id"] != again["id"]
    assert again["payload"] == {"p": 1}
    assert made.headers["location"] == f"/v1/jobs/{again['id']}"
    assert made.headers["link"] == f'</v1/jobs/{job["id"]}>; rel="original"'
    none_failed = await api.post(
        f"/v1/jobs/{job['id']}/rerun", json={"only_failed_items": True}, headers={"Idempotency-Key": "other"}
    )
    assert none_failed.status_code == 422


async def test_cancel_before_and_after_a_claim(create: Create, claim: Claim, api: httpx.AsyncClient) -> None:
    waiting = await create()
    now = await api.post(f"/v1/jobs/{waiting['id']}/cancel")
    assert (now.status_code, now.json()["status"]) == (200, "cancelled")
    JobSummary.model_validate(now.json())
    assert (await api.post(f"/v1/jobs/{waiting['id']}/cancel")).status_code == 200
    held = await create()
    token = (await claim())["lease"]["token"]
    asked = await api.post(f"/v1/jobs/{held['id']}/cancel")
    assert (asked.status_code, asked.json()["status"]) == (202, "cancelling")
    told = await api.post(f"/v1/jobs/{held['id']}/report", json={"token": token})
    assert told.json()["cancel_requested"] is True
    given = await api.post(f"/v1/jobs/{held['id']}/release", json={"token": token})
    assert given.json()["status"] == "cancelled"


async def test_ended_job_cannot_be_cancelled(create: Create, claim: Claim, api: httpx.AsyncClient) -> None:
    job = await create()
    token = (await claim())["lease"]["token"]
    await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": token})
    answer = await api.post(f"/v1/jobs/{job['id']}/cancel")
    assert answer.status_code == 409
    assert answer.json()["code"] == "already_terminal"
    assert answer.json()["job"]["status"] == "completed"


async def _all_items(api: httpx.AsyncClient, job_id: str, **params: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = await api.get(f"/v1/jobs/{job_id}/items", params={**params, **({"cursor": cursor} if cursor else {})})
        page = answer.json()
        ItemList.model_validate(page)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


async def test_items_come_page_by_page_in_their_order(create: Create, claim: Claim, api: httpx.AsyncClient) -> None:
    job = await create(items=[{"key": f"k{n}", "uri": f"file:///{n}"} for n in range(7)])
    token = (await claim())["lease"]["token"]
    updates = [{"key": "k3", "status": "failed", "error_code": "x"}, {"key": "new", "status": "completed"}]
    await api.post(f"/v1/jobs/{job['id']}/report", json={"token": token, "items": updates})
    items = await _all_items(api, job["id"], limit=3)
    assert [item["key"] for item in items] == [*(f"k{n}" for n in range(7)), "new"]
    assert items[0]["id"] == f"{job['id']}.k0"
    assert [item["key"] for item in await _all_items(api, job["id"], status="failed")] == ["k3"]
    assert len(await _all_items(api, job["id"], limit=10**18)) == 8


async def test_cursor_of_another_list_is_refused(create: Create, api: httpx.AsyncClient) -> None:
    job = await create(items=[{"key": f"k{n}"} for n in range(3)])
    other = await create()
    cursor = (await api.get(f"/v1/jobs/{job['id']}/items", params={"limit": 1})).json()["next_cursor"]
    flipped = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    for path, params in (
        (f"/v1/jobs/{other['id']}/items", {"cursor": cursor}),
        (f"/v1/jobs/{job['id']}/items", {"cursor": cursor, "status": "queued"}),
        (f"/v1/jobs/{job['id']}/items", {"cursor": flipped}),
        (f"/v1/jobs/{job['id']}/items", {"cursor": "ü=="}),
        (f"/v1/jobs/{job['id']}/items", {"cursor": ""}),
    ):
        answer = await api.get(path, params=params)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor"), params
