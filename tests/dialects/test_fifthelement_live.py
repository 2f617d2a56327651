"""Fifth Element's documented client against the running service."""

import asyncio
import re
import time
import uuid
from typing import Any

import httpx
import pytest

from tests.dialects.conftest import MakeJob, Work

PREFIXES = ["", "/v1/api"]
ENVELOPE = {"data", "error"}
HOSTILE_IDS = [
    "job_abc123",
    "0",
    "null",
    "-1",
    "x" * 5000,
    "%00",
    "%ff%fe",
    "%F0%9F%92%A9",
    "%2e%2e",
    "..%2f..%2fetc",
    "{01997b2e-6a40-7c1b-9d0a-3f6f1f5c2a10}",
    "01997B2E-6A40-7C1B-9D0A-3F6F1F5C2A10",
    "01997b2e6a407c1b9d0a3f6f1f5c2a10",
    "' OR 1=1 --",
]


def assert_error(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """An error in the envelope, with the headers that all responses carry."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == ENVELOPE
    assert body["data"] is None
    assert set(body["error"]) == {"name", "message", "details"}
    assert body["error"]["name"] == name
    assert isinstance(body["error"]["details"], dict)
    assert_rate_headers(answer)
    error: dict[str, Any] = body["error"]
    return error


def assert_rate_headers(answer: httpx.Response) -> None:
    limit, remaining = answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]
    assert int(remaining) == int(limit) > 10_000
    assert 0 < int(answer.headers["X-RateLimit-Reset"]) - time.time() <= 3601


# The loop of the vendor's page, word for word but for httpx in the place of requests.
async def poll_job(base_url: str, api_key: str, job_id: str, seen: asyncio.Queue[Any]) -> dict[str, Any]:
    start_time = time.time()
    async with httpx.AsyncClient() as client:
        while time.time() - start_time < 30:
            response = await client.get(
                f"{base_url}/jobs/{job_id}",
                headers={"Authorization": f"Bearer {api_key}"},
            )
            job: dict[str, Any] = response.json()["data"]
            if job["status"] in ["completed", "failed", "cancelled"]:
                return job
            seen.put_nowait((job["status"], job["progress"]))
            await asyncio.sleep(0.02)
    raise TimeoutError("Job polling timed out")


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_documented_loop_sees_a_job_to_its_end(
    service: Any, make_job: MakeJob, work: Work, prefix: str
) -> None:
    job = await make_job()
    seen: asyncio.Queue[Any] = asyncio.Queue()

    async def until_seen(wanted: str) -> None:
        async with asyncio.timeout(20):
            status = None
            while status != wanted:
                status, progress = await seen.get()
                assert isinstance(progress, int | float)
                assert 0 <= progress <= 99

    polling = asyncio.create_task(poll_job(service.url + prefix, service.api_key, job["id"], seen))
    await until_seen("pending")
    token = await work.claim(job["id"])
    await work.say(job["id"], "report", token, progress=40)
    await until_seen("running")
    await work.say(job["id"], "complete", token, result={"documentsProcessed": 50, "errors": 0})
    ended = await polling
    assert (ended["status"], ended["progress"]) == ("completed", 100)
    assert ended["result"] == {"documentsProcessed": 50, "errors": 0}


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_read_has_every_documented_key(api: httpx.AsyncClient, make_job: MakeJob, prefix: str) -> None:
    job = await make_job(type="a type of our own")
    answer = await api.get(f"{prefix}/jobs/{job['id']}", headers={"x-user-identifier": "someone@example.com"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert_rate_headers(answer)
    data = answer.json()["data"]
    assert answer.json()["error"] is None
    assert list(data) == ["id", "type", "status", "progress", "result", "createdAt", "completedAt"]
    assert (data["id"], data["type"], data["status"]) == (job["id"], "a type of our own", "pending")
    assert (data["progress"], data["result"], data["completedAt"]) == (0, None, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", data["createdAt"])


async def test_failed_items_show_in_the_result(api: httpx.AsyncClient, make_job: MakeJob, work: Work) -> None:
    job = await make_job()
    token = await work.claim(job["id"])
    items = [{"key": "a", "status": "completed"}, {"key": "b", "status": "failed", "error_code": "bad"}]
    await work.say(job["id"], "report", token, items=items)
    await work.say(job["id"], "complete", token, result={"ok": 1})
    data = (await api.get(f"/jobs/{job['id']}")).json()["data"]
    assert data["status"] == "completed"
    assert data["result"] == {"ok": 1, "counts": {"total": 2, "processed": 1, "failed": 1, "skipped": 0}}


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_failed_job_says_why_and_can_be_rerun(
    api: httpx.AsyncClient, make_job: MakeJob, work: Work, prefix: str
) -> None:
    job = await make_job()
    await work.say(job["id"], "fail", await work.claim(job["id"]), code="boom", message="it broke", retryable=False)
    failed = (await api.get(f"{prefix}/jobs/{job['id']}")).json()["data"]
    assert (failed["status"], failed["result"]) == ("failed", {"error": {"code": "boom", "message": "it broke"}})
    answer = await api.post(f"{prefix}/jobs/{job['id']}/rerun")
    assert answer.status_code == 200
    assert_rate_headers(answer)
    new = answer.json()["data"]
    assert list(new) == ["id", "type", "status", "originalJobId", "createdAt"]
    assert (new["type"], new["status"], new["originalJobId"]) == (job["type"], "pending", job["id"])
    assert new["id"] != job["id"]
    # The old one never changes, and the new one is a job like any other.
    assert (await api.get(f"{prefix}/jobs/{job['id']}")).json()["data"] == failed
    assert (await api.get(f"{prefix}/jobs/{new['id']}")).json()["data"]["status"] == "pending"


async def test_completed_and_cancelled_jobs_can_be_rerun(api: httpx.AsyncClient, make_job: MakeJob, work: Work) -> None:
    done, stopped = await make_job(), await make_job()
    await work.finish(done["id"])
    assert (await api.post(f"/v1/jobs/{stopped['id']}/cancel")).status_code == 200
    for job in (done, stopped):
        assert (await api.post(f"/jobs/{job['id']}/rerun")).status_code == 200


async def test_a_live_job_is_not_rerun(api: httpx.AsyncClient, make_job: MakeJob, work: Work) -> None:
    job = await make_job()
    said = assert_error(await api.post(f"/jobs/{job['id']}/rerun"), 400, "ValidationError")
    assert said["details"] == {"code": "invalid_transition", "status": "pending"}
    await work.claim(job["id"])
    said = assert_error(await api.post(f"/v1/api/jobs/{job['id']}/rerun"), 400, "ValidationError")
    assert said["details"]["status"] == "running"


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_unknown_ids_are_not_found(api: httpx.AsyncClient, prefix: str) -> None:
    for job_id in [str(uuid.uuid4()), *HOSTILE_IDS]:
        assert_error(await api.get(f"{prefix}/jobs/{job_id}"), 404, "NotFoundError")
        assert_error(await api.post(f"{prefix}/jobs/{job_id}/rerun"), 404, "NotFoundError")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic eDp5"])
async def test_missing_and_wrong_keys_are_unauthorized(service: Any, prefix: str, header: str | None) -> None:
    async with httpx.AsyncClient(base_url=service.url) as stranger:
        headers = {} if header is None else {"Authorization": header}
        answer = await stranger.get(f"{prefix}/jobs/{uuid.uuid4()}", headers=headers)
        assert_error(answer, 401, "UnauthorizedError")


async def test_unknown_routes_and_methods_answer_in_the_envelope(api: httpx.AsyncClient, make_job: MakeJob) -> None:
    job = await make_job()
    for path in ("/v1/api", "/v1/api/nothing", "/v1/api/jobs", f"/jobs/{job['id']}/nothing"):
        assert_error(await api.get(path), 404, "NotFoundError")
    for base in PREFIXES:
        for method, path in [("DELETE", ""), ("PUT", ""), ("GET", "/rerun")]:
            answer = await api.request(method, f"{base}/jobs/{job['id']}{path}")
            assert_error(answer, 405, "MethodNotAllowedError")
            assert answer.headers["Allow"]


@pytest.mark.parametrize("query", ["%ff", "x=%00", "a=" + "b" * 4000])
async def test_hostile_queries_and_bodies_never_break_it(api: httpx.AsyncClient, make_job: MakeJob, query: str) -> None:
    job = await make_job()
    assert (await api.get(f"/jobs/{job['id']}?{query}")).status_code in {200, 400}
    for body in (b"\xff\x00", b"[" * 5000, b'{"a": NaN}'):
        answer = await api.post(f"/jobs/{job['id']}/rerun?{query}", content=body)
        assert_error(answer, 400, "ValidationError")
