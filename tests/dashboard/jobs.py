"""Jobs as the tests of the pages need them, made over the API."""

from typing import Any

import httpx


async def create(api: httpx.AsyncClient, queue: str, **fields: Any) -> str:
    answer = await api.post("/v1/jobs", json={"type": "index", "queue": queue, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def claim(api: httpx.AsyncClient, queue: str) -> str:
    """Take the job that waits in the queue; returns the token."""
    [job] = (await api.post("/v1/claims", json={"worker": "w2", "queues": [queue]})).json()["jobs"]
    return str(job["lease"]["token"])


async def call(api: httpx.AsyncClient, job: str, what: str, token: str, **fields: Any) -> None:
    answer = await api.post(f"/v1/jobs/{job}/{what}", json={"token": token, **fields})
    assert answer.status_code == 200, answer.text


async def failed_job(api: httpx.AsyncClient, queue: str) -> str:
    """A job of three files, of which one failed."""
    job = await create(api, queue, items=[{"key": key} for key in "abc"], payload={"a": 1}, labels={"team": "search"})
    token = await claim(api, queue)
    items = [{"key": "a", "status": "completed"}, {"key": "b", "status": "failed", "error_code": "bad_csv"}]
    await call(api, job, "report", token, stage="reading", items=items)
    await call(api, job, "fail", token, code="s3_down", message="bucket gone", retryable=False)
    return job
