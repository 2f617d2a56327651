"""Why a job waits and who works, over a socket."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.api.jobs.list_wire import JobList, WaitingOut
from app.api.workers.lists import WorkerList
from tests.api.conftest import Claim, Create
from tests.service_process import ServiceProcess


async def why(api: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, Any]:
    answer = await api.get(f"/v1/jobs/{job['id']}/waiting")
    assert answer.status_code == 200, answer.text
    assert (answer.headers["cache-control"], answer.headers.get("etag")) == ("no-store", None)
    WaitingOut.model_validate(answer.json())
    return dict(answer.json())


async def workers(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await api.get("/v1/workers", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        WorkerList.model_validate(page)
        found += page["workers"]
        cursor = page["next_cursor"]
    return found


async def test_job_says_why_it_waits_as_things_change(
    api: httpx.AsyncClient, create: Create, claim: Claim, queue: str
) -> None:
    job = await create(type=queue)
    before = await api.get(f"/v1/jobs/{job['id']}")
    paused = await api.post(f"/v1/queues/{queue}/pause", json={"reason": "index rebuilt"})
    assert paused.status_code == 200, paused.text
    said = await why(api, job)
    assert (said["reason"], said["until"]) == ("queue_paused", None)
    assert said["detail"].endswith("by key first key: index rebuilt.")
    await api.post(f"/v1/queues/{queue}/resume")
    claimed = await claim()
    assert (await why(api, job))["reason"] is None
    assert (await api.post(f"/v1/jobs/{job['id']}/cancel")).status_code == 202
    assert (await why(api, job))["reason"] == "cancel_unanswered"
    await api.post(f"/v1/jobs/{job['id']}/release", json={"token": claimed["lease"]["token"]})
    said = await why(api, job)
    assert (said["reason"], said["detail"]) == (None, "The job has ended: cancelled.")
    assert "waiting" not in before.json()
    assert "waiting" not in (await api.get(f"/v1/jobs/{job['id']}")).json()


async def test_worker_that_waits_for_a_job_is_listed_and_is_there(
    api: httpx.AsyncClient, create: Create, queue: str
) -> None:
    later = await create(scheduled_at="2100-01-01T00:00:00Z")
    body = {"worker": f"w of {queue}", "queues": [queue], "types": ["work", "a"], "wait": 20}
    claiming = asyncio.create_task(api.post("/v1/claims", json=body, headers={"User-Agent": "x/1 " + "y" * 300}))
    async with asyncio.timeout(20):
        while not (found := [one for one in await workers(api) if one["name"] == body["worker"]]):
            await asyncio.sleep(0.1)
    [worker] = found
    assert (worker["queues"], worker["types"], worker["present"], worker["held"]) == ([queue], ["a", "work"], True, 0)
    assert (worker["client"][:6], len(worker["client"])) == ("x/1 yy", 255)
    assert (await why(api, later))["reason"] == "scheduled"
    made = await create()
    assert [one["id"] for one in (await claiming).json()["jobs"]] == [made["id"]]
    [worker] = [one for one in await workers(api) if one["name"] == body["worker"]]
    assert worker["held"] == 1
    names = [one["name"] for one in await workers(api)]
    assert names == sorted(set(names))


async def test_list_includes_why_jobs_wait_on_request(api: httpx.AsyncClient, queue: str) -> None:
    made = await api.post("/v1/jobs/batch", json={"jobs": [{"type": queue, "queue": queue}] * 101})
    assert made.status_code == 200
    query: dict[str, Any] = {"queue": queue, "include": ["waiting", "payload"], "limit": 500}
    answer = await api.get("/v1/jobs", params=query)
    JobList.model_validate(answer.json())
    assert answer.headers["cache-control"] == "no-store"
    jobs = answer.json()["jobs"]
    assert len(jobs) == 100
    # Another test's worker may have asked for jobs of any queue and type within the last minute.
    assert {job["waiting"]["reason"] for job in jobs} <= {"no_worker", "behind_others"}
    assert {("payload" in job, "result" in job) for job in jobs} == {(True, False)}
    rest = await api.get("/v1/jobs", params={**query, "cursor": answer.json()["next_cursor"]})
    assert [len(rest.json()["jobs"]), rest.json()["next_cursor"]] == [1, None]
    assert len((await api.get("/v1/jobs", params={**query, "include": ["payload"]})).json()["jobs"]) == 101
    assert all("waiting" not in job for job in (await api.get("/v1/jobs", params={"queue": queue})).json()["jobs"])
    assert (await api.get("/v1/jobs", params={**query, "include": "why"})).status_code == 422


@pytest.mark.parametrize("job_id", ["01890a5d-ac96-774b-bcce-b302099a8057", "x"])
async def test_unknown_job_has_no_reason(api: httpx.AsyncClient, job_id: str) -> None:
    answer = await api.get(f"/v1/jobs/{job_id}/waiting")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_another_project_sees_neither_jobs_nor_workers(
    service: ServiceProcess, api: httpx.AsyncClient, create: Create, claim: Claim
) -> None:
    job = await create()
    await claim()
    project = (await api.post("/v1/projects", json={"name": "elsewhere"})).json()["id"]
    key = (await api.post("/v1/keys", json={"name": "n", "scopes": ["read"], "project_id": project})).json()["key"]
    async with service.client() as other:
        other.headers["Authorization"] = f"Bearer {key}"
        assert (await other.get(f"/v1/jobs/{job['id']}/waiting")).status_code == 404
        assert (await other.get("/v1/workers")).json() == {"workers": [], "next_cursor": None}
    named = (await api.get("/v1/workers", params={"name": uuid4().hex})).json()
    assert named == {"workers": [], "next_cursor": None}


async def test_pause_is_told_with_its_author_and_kept_by_who_changes_something_else(
    service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    pause = {"reason": "index rebuilt", "until": "2100-01-01T00:00:00.123456Z"}
    first = (await api.post(f"/v1/queues/{queue}/pause", json=pause)).json()
    assert (first["paused"], first["paused_by"], first["reason"]) == (True, "first key", "index rebuilt")
    assert first["until"] == "2100-01-01T00:00:00.123Z"
    key = (await api.post("/v1/keys", json={"name": "other", "scopes": ["admin"]})).json()["key"]
    rules = {"paused": True, "reason": first["reason"], "until": first["until"]}
    async with service.client() as other:
        other.headers["Authorization"] = f"Bearer {key}"
        kept = (await other.put(f"/v1/queues/{queue}", json={**rules, "concurrency_limit": 2})).json()
        assert [kept[name] for name in ("paused_by", "paused_at")] == ["first key", first["paused_at"]]
        changed = (await other.put(f"/v1/queues/{queue}", json={**rules, "until": None})).json()
    assert [changed[name] for name in ("paused_by", "paused_at", "until")] == ["other", first["paused_at"], None]
    again = (await api.post(f"/v1/queues/{queue}/pause")).json()
    assert [again[name] for name in ("paused_by", "reason", "until")] == ["first key", None, None]
    resumed = (await api.post(f"/v1/queues/{queue}/resume")).json()
    assert [resumed[name] for name in ("paused", "paused_by", "paused_at")] == [False, None, None]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"paused": True, "reason": ""}, "/reason"),
        ({"paused": True, "reason": "x" * 1001}, "/reason"),
        ({"paused": True, "until": "tomorrow"}, "/until"),
        ({"reason": "x"}, ""),
        ({"paused": False, "until": "2100-01-01T00:00:00Z"}, ""),
    ],
)
async def test_bad_pause_is_refused_by_name(
    api: httpx.AsyncClient, queue: str, body: dict[str, Any], pointer: str
) -> None:
    answer = await api.put(f"/v1/queues/{queue}", json=body)
    assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [pointer])
    if pointer:
        body.pop("paused")
        assert (await api.post(f"/v1/queues/{queue}/pause", json=body)).status_code == 422
    assert (await api.get(f"/v1/queues/{queue}")).json()["created_at"] is None


async def test_pause_with_an_end_resumes_by_itself_and_wakes_who_waits(
    api: httpx.AsyncClient, create: Create, claim: Claim, queue: str
) -> None:
    job = await create()
    ended = await api.post(f"/v1/queues/{queue}/pause", json={"until": "2020-01-01T00:00:00Z"})
    assert [ended.json()[name] for name in ("paused", "paused_by", "until")] == [False, None, None]
    assert (await claim())["id"] == job["id"]
    later = await create()
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat(timespec="milliseconds")
    paused = await api.put(f"/v1/queues/{queue}", json={"paused": True, "until": soon})
    assert paused.json()["paused"] is True
    assert (await api.post("/v1/claims", json={"worker": "w", "queues": [queue]})).json()["jobs"] == []
    assert (await claim(wait=20))["id"] == later["id"]
    assert (await api.get(f"/v1/queues/{queue}")).json()["paused"] is False


async def test_queue_shows_what_is_due_apart_from_what_starts_later(
    api: httpx.AsyncClient, create: Create, claim: Claim, queue: str
) -> None:
    await create()
    await claim()
    for at in (None, None, "2100-01-01T00:00:00Z"):
        await create(scheduled_at=at)
    async with asyncio.timeout(10):
        while (found := (await api.get(f"/v1/queues/{queue}")).json())["depth"]["pending"] != 3:
            await asyncio.sleep(0.1)
    assert (found["due"], found["scheduled"], found["held"]) == (2, 1, 1)
