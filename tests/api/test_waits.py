"""Waiting for many jobs in one call."""

import asyncio
import uuid

import httpx

from app.api.jobs.wire import Waited
from tests.api.conftest import Claim, Create


async def test_batch_read_keeps_order_and_names_what_is_unknown(create: Create, api: httpx.AsyncClient) -> None:
    one, two = await create(payload=1), await create(payload=2)
    unknown = str(uuid.uuid4())
    ids = [two["id"], "no-id", one["id"], unknown, two["id"], one["id"].upper()]
    answer = (await api.post("/v1/jobs/wait", json={"ids": ids})).json()
    Waited.model_validate(answer)
    assert [job["id"] for job in answer["jobs"]] == [two["id"], one["id"]]
    assert answer["not_found"] == ["no-id", unknown, one["id"].upper()]
    assert "payload" not in answer["jobs"][0]
    with_payload = await api.post("/v1/jobs/wait", json={"ids": ids, "include": ["payload"]})
    assert [job["payload"] for job in with_payload.json()["jobs"]] == [2, 1]
    assert "result" not in with_payload.json()["jobs"][0]


async def test_wait_for_any(create: Create, api: httpx.AsyncClient) -> None:
    one, two = await create(), await create()
    body = {"ids": [one["id"], two["id"]], "until": "any", "wait": -1}
    waiting = asyncio.create_task(api.post("/v1/jobs/wait", json=body))
    await api.post(f"/v1/jobs/{two['id']}/cancel")
    answer = await asyncio.wait_for(waiting, 10)
    assert {job["status"] for job in answer.json()["jobs"]} == {"pending", "cancelled"}
    assert answer.headers["x-accel-buffering"] == "no"


async def test_wait_for_a_change_since_versions(create: Create, claim: Claim, api: httpx.AsyncClient) -> None:
    job = await create()
    body = {"ids": [job["id"]], "until": "change", "versions": {job["id"]: job["version"]}, "wait": 30}
    waiting = asyncio.create_task(api.post("/v1/jobs/wait", json=body))
    await claim()
    answer = await asyncio.wait_for(waiting, 10)
    assert answer.json()["jobs"][0]["status"] == "dispatched"


async def test_wait_at_its_end_gives_the_states(create: Create, api: httpx.AsyncClient) -> None:
    job = await create()
    answer = await api.post("/v1/jobs/wait", json={"ids": [job["id"]], "wait": 1})
    assert answer.json()["jobs"][0]["status"] == "pending"
