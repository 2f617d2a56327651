"""Waiting for many jobs in one call, and why a wait has ended."""

import asyncio
import signal
import uuid
from typing import Any

import httpx
import pytest

from app.api.jobs.wire import Waited
from tests.api.conftest import Claim, Create
from tests.conftest import StartService

ENDED = "Jobtrack-Wait-Ended"


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


@pytest.mark.parametrize("include", [[], ["result"]])
@pytest.mark.parametrize("wait", [0, 1])
async def test_wait_says_why_it_ended(create: Create, api: httpx.AsyncClient, wait: int, include: list[str]) -> None:
    live, ended = await create(), await create()
    await api.post(f"/v1/jobs/{ended['id']}/cancel")
    ids = [live["id"], ended["id"]]

    async def why(ids: list[str], **condition: Any) -> str:
        body = {"ids": ids, "wait": wait, "include": include, **condition}
        answer = (await api.post("/v1/jobs/wait", json=body)).json()
        Waited.model_validate(answer)
        return str(answer["ended_by"])

    known, older = {live["id"]: live["version"]}, {live["id"]: live["version"] + 1}
    expected = {
        "timeout": (
            why(ids, until="all"),
            why([live["id"]], until="any"),
            why([live["id"]], until="change", versions=known),
        ),
        "condition": (
            why(ids, until="any"),
            why([ended["id"]], until="all"),
            why([str(uuid.uuid4())]),
            why([live["id"]], until="change", versions=older),
        ),
    }
    for reason, waits in expected.items():
        assert set(await asyncio.gather(*waits)) == {reason}


@pytest.mark.parametrize("wait", [{"params": {"wait": 0}}, {"params": {"wait": 1}}, {"headers": {"Prefer": "wait=1"}}])
async def test_get_with_a_wait_says_why_it_ended(create: Create, api: httpx.AsyncClient, wait: dict[str, Any]) -> None:
    job = await create()
    path, tag = f"/v1/jobs/{job['id']}", f'"{job["version"]}"'

    async def why(**headers: str) -> tuple[int, str | None]:
        answer = await api.get(path, params=wait.get("params"), headers={**wait.get("headers", {}), **headers})
        return answer.status_code, answer.headers.get(ENDED)

    over = await asyncio.gather(why(), why(**{"If-None-Match": tag}), why(**{"If-None-Match": '"0"'}))
    assert [*over] == [(200, "timeout"), (304, "timeout"), (200, "condition")]
    ended = (await api.post(f"{path}/cancel")).json()
    assert await why() == (200, "condition")
    assert await why(**{"If-None-Match": tag}) == (200, "condition")
    assert await why(**{"If-None-Match": f'"{ended["version"]}"'}) == (304, "condition")
    for headers in ({}, {"If-None-Match": tag}):
        assert ENDED not in (await api.get(path, headers=headers)).headers


async def test_log_with_a_wait_says_why_it_ended(create: Create, claim: Claim, api: httpx.AsyncClient) -> None:
    job = await create()
    path, token = f"/v1/jobs/{job['id']}", (await claim())["lease"]["token"]

    async def why(**query: int) -> str:
        return str((await api.get(f"{path}/logs", params=query)).headers.get(ENDED))

    assert {*await asyncio.gather(why(wait=0), why(wait=1))} == {"timeout"}
    await api.post(f"{path}/report", json={"token": token, "logs": [{"message": "m"}]})
    assert await why(wait=0) == "condition"
    assert await why(wait=0, offset=1) == "timeout"
    assert await why() == "None"
    await api.post(f"{path}/complete", json={"token": token})
    assert await why(wait=50, offset=1) == "condition"


async def test_waits_that_a_shutdown_ends_say_so(start_service: StartService) -> None:
    service = await start_service()
    async with service.client(timeout=60) as api:
        job = (await api.post("/v1/jobs", json={"type": "held"})).json()
        path, tag = f"/v1/jobs/{job['id']}", {"If-None-Match": f'"{job["version"]}"'}
        posted = {"ids": [job["id"]], "wait": -1}
        waits = [
            asyncio.create_task(request)
            for request in (
                api.post("/v1/jobs/wait", json=posted),
                api.post("/v1/jobs/wait", json={**posted, "include": ["result"]}),
                api.get(path, params={"wait": 50}),
                api.get(path, params={"wait": 50}, headers=tag),
                api.get(f"{path}/logs", params={"wait": 50}),
            )
        ]
        async with asyncio.timeout(20):
            while await service.open_waits() < len(waits):
                await asyncio.sleep(0.01)
        service.process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*waits)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 304, 200]
    assert [answer.json()["ended_by"] for answer in answers[:2]] == ["shutdown"] * 2
    assert [answer.headers[ENDED] for answer in answers[2:]] == ["shutdown"] * 3
