"""Names of queues and types: refused where they are new, and in use where they are not."""

import uuid
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest

from app.db.opening import asyncpg_dsn
from tests.service_process import ServiceProcess

CONTROLS = ("a\nb", "a\tb", "\x7f", "a\x85b", "end\n", "\x1b[31m")
ADDRESSES = (".", "..", "a/..", "./a", "a/./b", "x/pause", "a/b/resume", "/pause")
FINE = ("a/b", "...", ".a", "a.b/c..", "pause", "x/pause/y", "x/paused", "é \u202e", "a/b c?%")


def encoded(name: str) -> str:
    """Write a name as one step of a path, dots too: clients resolve them."""
    return quote(name, safe="").replace(".", "%2E")


async def code_of(answer: httpx.Response, pointer: str) -> str:
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    return str(error["code"])


@pytest.mark.parametrize("name", CONTROLS + ADDRESSES)
async def test_new_queue_is_refused(api: httpx.AsyncClient, name: str) -> None:
    job = {"type": "t", "queue": name}
    assert await code_of(await api.post("/v1/jobs", json=job), "/queue") == "name"
    [bad, good] = (await api.post("/v1/jobs/batch", json={"jobs": [job, {"type": "t", "queue": "n"}]})).json()[
        "results"
    ]
    assert bad["problem"]["errors"][0]["pointer"] == "/queue"
    assert good["job"]
    if "." not in name:  # the client would resolve the dots
        assert await code_of(await api.put(f"/v1/queues/{encoded(name)}", json={}), "path:queue") == "name"
    assert name not in [queue["name"] for queue in (await api.get("/v1/queues?limit=500")).json()["queues"]]


@pytest.mark.parametrize("name", CONTROLS)
async def test_new_type_is_refused(api: httpx.AsyncClient, name: str) -> None:
    assert await code_of(await api.post("/v1/jobs", json={"type": name}), "/type") == "name"
    [row] = (await api.post("/v1/jobs/batch", json={"jobs": [{"type": name}]})).json()["results"]
    assert row["problem"]["errors"][0]["pointer"] == "/type"


@pytest.mark.parametrize("name", FINE)
async def test_other_names_are_taken(api: httpx.AsyncClient, name: str) -> None:
    made = await api.post("/v1/jobs", json={"type": name, "queue": name})
    assert made.status_code == 201, made.text
    answer = await api.put(f"/v1/queues/{encoded(name)}", json={})
    assert (answer.status_code, answer.json().get("name")) == (200, name)


@pytest.mark.parametrize("name", ADDRESSES)
async def test_type_may_look_like_an_address(api: httpx.AsyncClient, name: str) -> None:
    assert (await api.post("/v1/jobs", json={"type": name})).status_code == 201


@pytest.mark.parametrize("name", ["a\nb", "end\n", "x/pause", "a/b/resume", ".", "..", "a/../b"])
async def test_job_and_queue_of_before_go_on(api: httpx.AsyncClient, service: ServiceProcess, name: str) -> None:
    fresh = f"before-{uuid.uuid4()}"
    job: dict[str, Any] = (await api.post("/v1/jobs", json={"type": "t", "queue": fresh})).json()
    connection = await asyncpg.connect(asyncpg_dsn(service.database_url))
    await connection.execute("UPDATE jobs SET queue = $2, type = $2 WHERE id = $1", job["id"], name)
    await connection.execute("UPDATE queues SET name = $2 WHERE name = $1", fresh, name)
    await connection.close()
    path = f"/v1/queues/{encoded(name)}"
    assert (await api.get(path)).json()["name"] == name
    assert (await api.put(path, json={"concurrency_limit": 5})).json()["concurrency_limit"] == 5
    for action, paused in (("pause", True), ("resume", False)):
        answer = await api.post(f"{path}/{action}")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["name"], answer.json()["paused"]) == (name, paused)
    for _ in range(2):
        body = {"worker": "w", "queues": [name], "types": [name]}
        [claimed] = (await api.post("/v1/claims", json=body)).json()["jobs"]
        done = {"token": claimed["lease"]["token"]}
        assert (await api.post(f"/v1/jobs/{claimed['id']}/complete", json=done)).status_code == 200
        again = await api.post(f"/v1/jobs/{claimed['id']}/rerun")
        assert (again.status_code, again.json()["queue"], again.json()["type"]) == (201, name, name)
