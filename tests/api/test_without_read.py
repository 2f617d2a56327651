"""What keys without the scope `read` are shown of jobs, and what the scope `metrics` is for."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.api import document
from tests.api.conftest import Claim, Create
from tests.service_process import ServiceProcess

With = Callable[..., Awaitable[httpx.AsyncClient]]
PAYLOAD, RESULT = {"folder": "/secret"}, {"pages": 12}
LOST = "00000000-0000-4000-8000-000000000000"


@pytest_asyncio.fixture
async def having(service: ServiceProcess, api: httpx.AsyncClient) -> AsyncIterator[With]:
    """A client whose key has these scopes."""
    clients: list[httpx.AsyncClient] = []

    async def having(*scopes: str) -> httpx.AsyncClient:
        made = (await api.post("/v1/keys", json={"name": "n", "scopes": scopes})).json()
        headers = {"Authorization": f"Bearer {made['key']}"}
        clients.append(httpx.AsyncClient(base_url=service.url, headers=headers, timeout=30))
        return clients[-1]

    yield having
    for client in clients:
        await client.aclose()


@pytest_asyncio.fixture
async def ended(api: httpx.AsyncClient, create: Create, claim: Claim) -> str:
    """A job that somebody else has created, and whose worker has completed it."""
    job_id = str((await create(payload=PAYLOAD))["id"])
    token = (await claim())["lease"]["token"]
    done = await api.post(f"/v1/jobs/{job_id}/complete", json={"token": token, "result": RESULT})
    assert done.status_code == 200
    return job_id


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("reads", [False, True])
async def test_rerun_shows_its_payload_to_readers(having: With, ended: str, reads: bool, repeated: bool) -> None:
    client = await having("submit", *(["read"] if reads else []))
    if repeated:
        assert (await client.post(f"/v1/jobs/{ended}/rerun")).status_code == 201
    answer = await client.post(f"/v1/jobs/{ended}/rerun")
    assert answer.status_code == 201
    job = answer.json()
    assert (job["payload"], job["result"], job["billing"]) == (PAYLOAD if reads else None, None, None)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/batch"])
@pytest.mark.parametrize("reads", [False, True])
async def test_repeated_creation_shows_what_came_of_the_job_to_readers(
    api: httpx.AsyncClient, having: With, claim: Claim, queue: str, reads: bool, path: str
) -> None:
    client = await having("submit", *(["read"] if reads else []))
    row = {"type": "work", "queue": queue, "payload": PAYLOAD}
    body = {"jobs": [row]} if path.endswith("batch") else row

    async def repeat() -> dict[str, Any]:
        answer = await client.post(path, json=body, headers={"Idempotency-Key": queue})
        assert answer.is_success, answer.text
        return dict(answer.json()["results"][0]["job"] if path.endswith("batch") else answer.json())

    job_id = (await repeat())["id"]
    token = (await claim())["lease"]["token"]
    assert (await api.post(f"/v1/jobs/{job_id}/complete", json={"token": token, "result": RESULT})).is_success
    job = await repeat()
    assert (job["id"], job["payload"], job["result"]) == (job_id, PAYLOAD, RESULT if reads else None)


@pytest.mark.parametrize("reads", [False, True])
async def test_problems_show_the_job_to_readers(having: With, create: Create, ended: str, reads: bool) -> None:
    client = await having("submit", "work", *(["read"] if reads else []))
    live = str((await create(payload=PAYLOAD, labels={"team": "secret"}))["id"])
    report: dict[str, Any] = {"token": LOST}
    lost = await client.post(f"/v1/jobs/{live}/report", json=report)
    many = await client.post("/v1/reports", json={"reports": [{"job_id": live, "action": "report", **report}]})
    problems = [
        (lost.json(), "lease_lost"),
        (many.json()["results"][0]["problem"], "lease_lost"),
        ((await client.post(f"/v1/jobs/{ended}/cancel")).json(), "already_terminal"),
        ((await client.delete(f"/v1/jobs/{live}")).json(), "invalid_transition"),
        ((await client.post(f"/v1/jobs/{live}/rerun")).json(), "invalid_transition"),
    ]
    for problem, code in problems:
        assert (problem["code"], "job" in problem) == (code, reads)


async def test_key_for_metrics_reads_them_and_nothing_else(having: With) -> None:
    client = await having("metrics")
    answer = await client.get("/metrics")
    assert (answer.status_code, "jobtrack_open_waits" in answer.text) == (200, True)
    # Whatever a key may, its holder may sign in with it, and see that it may read nothing.
    public = {"/livez", "/readyz", "/metrics", "/v1/sessions/codes"}
    operations = [
        (method, path)
        for path, methods in document.openapi()["paths"].items()
        for method in methods
        if path not in public
    ]
    assert len(operations) > 30
    for method, path in operations:
        refused = await client.request(method, path.replace("{", "").replace("}", ""), json={})
        assert refused.status_code == 403, (method, path)


async def test_only_an_operator_gives_the_metrics_away(having: With) -> None:
    admin = await having("admin")
    assert (await admin.get("/metrics")).status_code == 403
    assert (await admin.post("/v1/keys", json={"name": "n", "scopes": ["metrics"]})).status_code == 403
