"""Names of queues: how many there may be, what one without a row answers, and how one is forgotten."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from tests.service_process import ServiceProcess

Create = Callable[..., Awaitable[dict[str, Any]]]
MOST = 5
REFUSED = (422, "too_many_queues")


@pytest_asyncio.fixture(scope="module")
async def narrow(create_database: Callable[..., Awaitable[str]], room: Any) -> AsyncIterator[ServiceProcess]:
    """A service whose projects may have no more than `MOST` queues."""
    service = ServiceProcess(await create_database(), room / "narrow", {"JOBTRACK_MAX_QUEUES": str(MOST)})
    await service.ready()
    yield service
    service.kill()


@pytest_asyncio.fixture
async def full(narrow: ServiceProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a project of its own, which has all the queues it may have: full-0 to full-4."""
    async with narrow.client() as operator:
        project = (await operator.post("/v1/projects", json={"name": uuid.uuid4().hex})).json()
        key = {"name": "k", "scopes": ["admin", "submit", "work", "read"], "project_id": project["id"]}
        made = (await operator.post("/v1/keys", json=key)).json()
    async with narrow.client() as client:
        client.headers["Authorization"] = f"Bearer {made['key']}"
        rows = [{"type": "t", "queue": f"full-{n}"} for n in range(MOST)]
        answer = (await client.post("/v1/jobs/batch", json={"jobs": rows})).json()
        assert all("job" in row for row in answer["results"]), answer
        yield client


def problem(answer: httpx.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json().get("code")


async def names(client: httpx.AsyncClient) -> list[str]:
    return [queue["name"] for queue in (await client.get("/v1/queues")).json()["queues"]]


async def test_one_queue_too_many_is_refused_and_the_others_go_on(full: httpx.AsyncClient) -> None:
    answer = await full.post("/v1/jobs", json={"type": "t", "queue": "more"})
    assert problem(answer) == REFUSED
    assert str(MOST) in answer.json()["detail"]
    assert "JOBTRACK_MAX_QUEUES" in answer.json()["detail"]
    assert (await full.post("/v1/jobs", json={"type": "t", "queue": "full-1"})).status_code == 201
    assert await names(full) == [f"full-{n}" for n in range(MOST)]


async def test_a_row_of_a_batch_is_refused_alone(full: httpx.AsyncClient) -> None:
    await full.delete("/v1/queues/full-4")
    rows = [{"type": "t", "queue": queue} for queue in ("full-0", "more-1", "full-3", "more-2", "full-2")]
    results = (await full.post("/v1/jobs/batch", json={"jobs": rows})).json()["results"]
    assert [row["problem"]["code"] if "problem" in row else row["job"]["queue"] for row in results] == [
        "full-0", "too_many_queues", "full-3", "too_many_queues", "full-2",
    ]  # fmt: skip


async def test_a_refused_row_leaves_its_idempotency_key_free(full: httpx.AsyncClient) -> None:
    rows = [{"type": "t", "queue": queue} for queue in ("full-0", "more")]
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    for _ in range(2):
        results = (await full.post("/v1/jobs/batch", json={"jobs": rows}, headers=headers)).json()["results"]
        assert [set(row) & {"job", "problem"} for row in results] == [{"job"}, {"problem"}]
        assert results[1]["problem"]["code"] == "too_many_queues"
    await end_all(full)
    assert (await full.delete("/v1/queues/full-4")).status_code == 204
    results = (await full.post("/v1/jobs/batch", json={"jobs": rows}, headers=headers)).json()["results"]
    assert results[1]["job"]["queue"] == "more"


async def end_all(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/jobs/cancel", json={"queue": [f"full-{n}" for n in range(MOST)]})
    assert answer.status_code == 200, answer.text


async def test_rules_and_pauses_of_one_queue_too_many_are_refused(full: httpx.AsyncClient) -> None:
    assert problem(await full.put("/v1/queues/more", json={})) == REFUSED
    assert problem(await full.post("/v1/queues/more/pause")) == REFUSED
    assert (await full.post("/v1/queues/more/resume")).status_code == 200
    assert (await full.put("/v1/queues/full-0", json={"concurrency_limit": 3})).status_code == 200
    assert "more" not in await names(full)


async def test_a_rerun_of_a_job_whose_queue_was_deleted_counts_as_a_new_queue(full: httpx.AsyncClient) -> None:
    await end_all(full)
    (job, *_) = (await full.get("/v1/jobs", params={"queue": "full-4"})).json()["jobs"]
    assert (await full.delete("/v1/queues/full-4")).status_code == 204
    assert (await full.post("/v1/jobs", json={"type": "t", "queue": "instead"})).status_code == 201
    assert problem(await full.post(f"/v1/jobs/{job['id']}/rerun")) == REFUSED


async def test_other_projects_have_queues_of_their_own(full: httpx.AsyncClient, narrow: ServiceProcess) -> None:
    assert problem(await full.post("/v1/jobs", json={"type": "t", "queue": "more"})) == REFUSED
    async with narrow.client() as operator:
        assert (await operator.post("/v1/jobs", json={"type": "t", "queue": "own"})).status_code == 201


async def test_a_pause_of_a_name_without_a_row_makes_it(api: httpx.AsyncClient) -> None:
    name = uuid.uuid4().hex
    resumed = (await api.post(f"/v1/queues/{name}/resume")).json()
    assert (resumed["name"], resumed["paused"], resumed["created_at"]) == (name, False, None)
    assert (await api.post(f"/v1/queues/{name}/pause")).json()["paused"] is True
    read = (await api.get(f"/v1/queues/{name}")).json()
    assert read["paused"] is True
    assert read["created_at"]
    bad = await api.post(f"/v1/queues/{quote(f'{name}/../b', safe='')}/pause")
    assert bad.status_code == 422, bad.text
    assert bad.json()["errors"][0]["pointer"] == "path:queue"


async def test_a_queue_is_deleted_when_its_jobs_have_ended(api: httpx.AsyncClient) -> None:
    name = uuid.uuid4().hex
    job = (await api.post("/v1/jobs", json={"type": "t", "queue": name})).json()
    await api.put(f"/v1/queues/{name}", json={"concurrency_limit": 2})
    assert problem(await api.delete(f"/v1/queues/{name}")) == (409, "queue_in_use")
    assert (await api.get(f"/v1/queues/{name}")).json()["concurrency_limit"] == 2
    await api.post(f"/v1/jobs/{job['id']}/cancel")
    deleted = await api.delete(f"/v1/queues/{name}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    read = (await api.get(f"/v1/queues/{name}")).json()
    assert (read["concurrency_limit"], read["created_at"]) == (None, None)
    assert (await api.get(f"/v1/jobs/{job['id']}")).status_code == 200
    assert (await api.delete(f"/v1/queues/{name}")).status_code == 204


@pytest.mark.parametrize("scopes", [["read", "submit", "work"], ["admin"]])
async def test_only_an_admin_of_the_queue_deletes_it(api: httpx.AsyncClient, scopes: list[str]) -> None:
    key = {"name": "k", "scopes": scopes, "queues": ["another"] if scopes == ["admin"] else None}
    made = (await api.post("/v1/keys", json=key)).json()
    answer = await api.delete("/v1/queues/q-of-others", headers={"Authorization": f"Bearer {made['key']}"})
    assert answer.status_code == 403
