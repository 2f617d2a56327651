"""How processes end, told to or not, and what the ones beside them make of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psutil

from tests.service_process import ServiceProcess

StartService = Callable[..., Awaitable[ServiceProcess]]


async def create(client: httpx.AsyncClient, **said: Any) -> dict[str, Any]:
    answer = await client.post("/v1/jobs", json={"type": "work", **said})
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def registered(client: httpx.AsyncClient, job_id: str) -> None:
    """Return when what was sent before has been read, which a later answer says."""
    for _ in range(3):
        assert (await client.get(f"/v1/jobs/{job_id}")).status_code == 200


async def test_told_to_stop_it_answers_every_wait_and_ends_in_order(start_service: StartService) -> None:
    service = await start_service()
    async with service.client() as client:
        job = await create(client)
        waiting = [
            asyncio.create_task(client.post("/v1/jobs/wait", json={"ids": [job["id"]], "wait": 25})) for _ in range(20)
        ]
        claiming = asyncio.create_task(
            client.post("/v1/claims", json={"worker": "w", "queues": ["nothing here"], "wait": 25})
        )
        await registered(client, job["id"])

        code = await asyncio.to_thread(service.stop)

        async with asyncio.timeout(5):
            answers = await asyncio.gather(*waiting)
            claimed = await claiming
    assert code == 0
    assert [answer.status_code for answer in answers] == [200] * 20
    assert {answer.json()["jobs"][0]["status"] for answer in answers} == {"pending"}
    assert (claimed.status_code, claimed.json()) == (200, {"jobs": []})


async def test_killed_process_takes_nothing_with_it(start_service: StartService) -> None:
    killed, other = await asyncio.gather(start_service(), start_service())
    async with killed.client() as first, other.client() as second:
        job = await create(first)
        answer = await first.post("/v1/claims", json={"worker": "w", "lease_seconds": 300})
        (held,) = answer.json()["jobs"]
        waiting = asyncio.create_task(second.post("/v1/jobs/wait", json={"ids": [job["id"]], "wait": 25}))
        await registered(second, job["id"])

        killed.kill()

        path = f"/v1/jobs/{job['id']}/complete"
        done = await second.post(path, json={"token": held["lease"]["token"], "result": {"pages": 3}})
        assert done.status_code == 200
        assert (await waiting).json()["jobs"][0]["status"] == "completed"
        assert (await second.get(f"/v1/jobs/{job['id']}")).json()["result"] == {"pages": 3}


async def test_killed_serving_process_of_a_group_is_replaced_and_the_group_ends_as_one(
    start_service: StartService,
) -> None:
    service = await start_service(JOBTRACK_WORKERS="2")
    # A child answers before its parent has noticed; one that dies until then is a start that failed.
    async with asyncio.timeout(20):
        while service.url not in service.log.read_text():
            await asyncio.sleep(0.05)
    parent = psutil.Process(service.process.pid)
    serving = parent.children(recursive=True)
    async with service.client() as client:
        job = await create(client)
    assert len(serving) >= 2
    serving[-1].kill()

    async with asyncio.timeout(20):
        while True:
            # A connection of its own each time: one to the killed process is cut, and that is no surprise.
            try:
                async with service.client() as client:
                    answers = [await client.get(f"/v1/jobs/{job['id']}") for _ in range(5)]
            except httpx.TransportError:
                continue
            assert {answer.status_code for answer in answers} == {200}
            alive = [one for one in parent.children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]
            if len(alive) >= 2 and serving[-1] not in alive:
                break
            await asyncio.sleep(0.05)

    assert await asyncio.to_thread(service.stop) == 0
    assert not [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
