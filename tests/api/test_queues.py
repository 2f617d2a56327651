"""Queues over a socket: rules, depth, pause, limits."""

import asyncio
import uuid
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from app.api.queues.wire import QueueList, QueueOut
from tests.api.conftest import Claim, Create

RULES: dict[str, Any] = {
    "paused": False,
    "concurrency_limit": 2,
    "retry": {"delay_seconds": 7.0, "factor": 3.0, "max_delay_seconds": 60.0},
    "retention": {"seconds": 3600, "failed_seconds": 0},
}


async def claimed(api: httpx.AsyncClient, queue: str, **fields: Any) -> list[dict[str, Any]]:
    answer = await api.post("/v1/claims", json={"worker": "w", "queues": [queue], "max": 10, **fields})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["jobs"])


async def test_rules_are_read_as_they_were_put(api: httpx.AsyncClient) -> None:
    name = f"a/b c%{uuid.uuid4()}/é"
    path = f"/v1/queues/{quote(name, safe='')}"
    before = (await api.get(path)).json()
    QueueOut.model_validate(before)
    assert (before["paused"], before["concurrency_limit"], before["created_at"]) == (False, None, None)
    made = await api.put(path, json=RULES)
    assert made.status_code == 200, made.text
    QueueOut.model_validate(made.json())
    assert {key: made.json()[key] for key in RULES} == RULES
    read = (await api.get(path)).json()
    assert read["name"] == name
    assert read["depth"] == {"cancelling": 0, "dispatched": 0, "pending": 0, "retrying": 0, "running": 0}
    assert (read["oldest_waiting_seconds"], read["oldest_waiting_id"]) == (None, None)
    reset = (await api.put(path, json={})).json()
    assert (reset["concurrency_limit"], reset["retry"], reset["retention"]) == (None, None, None)


@pytest.mark.parametrize(
    "rules",
    [
        {"concurrency_limit": 0},
        {"concurrency_limit": 2**31},
        {"retention": {"seconds": 1}},
        {"retention": {"seconds": 10**18}},
        {"retention": {"failed_seconds": 59}},
        {"retention": {"failed_seconds": -1}},
        {"retry": {"factor": 0}},
        {"paused": 1},
        {"nonsense": True},
    ],
)
async def test_bad_rules_are_refused(api: httpx.AsyncClient, queue: str, rules: dict[str, Any]) -> None:
    assert (await api.put(f"/v1/queues/{queue}", json=rules)).status_code == 422
    assert (await api.get(f"/v1/queues/{queue}")).json()["created_at"] is None


@pytest.mark.parametrize(("name", "status"), [("x" * 256, 422), ("%00", 404), ("", 422)])
async def test_bad_name_is_refused(api: httpx.AsyncClient, name: str, status: int) -> None:
    assert (await api.put(f"/v1/queues/{name}", json={})).status_code == status


async def test_jobs_inherit_the_retry_of_their_queue(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    await api.put(f"/v1/queues/{queue}", json=RULES)
    await create()
    # Nothing is taken while the limit is news, which a claim of the test before can make it for a second.
    [job] = await claimed(api, queue, wait=20)
    fail = {"token": job["lease"]["token"], "code": "x", "message": "m"}
    failed = (await api.post(f"/v1/jobs/{job['id']}/fail", json=fail)).json()
    assert failed["status"] == "retrying"
    assert await claimed(api, queue) == []


async def test_paused_queue_hands_out_nothing_and_goes_on_when_resumed(
    api: httpx.AsyncClient, create: Create, queue: str
) -> None:
    job = await create()
    assert (await api.post(f"/v1/queues/{queue}/pause")).json()["paused"] is True
    assert await claimed(api, queue) == []
    waiting = asyncio.create_task(claimed(api, queue, wait=20))
    assert (await api.post(f"/v1/queues/{queue}/resume")).json()["paused"] is False
    assert [one["id"] for one in await asyncio.wait_for(waiting, 10)] == [job["id"]]


async def test_depth_and_age_say_how_a_queue_stands(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    taken = await create()
    left = await create()
    await create(scheduled_at="2100-01-01T00:00:00Z")
    assert [job["id"] for job in await claimed(api, queue, max=1)] == [taken["id"]]
    async with asyncio.timeout(10):
        while (read := (await api.get(f"/v1/queues/{queue}")).json())["depth"]["pending"] != 2:
            await asyncio.sleep(0.1)  # a depth is up to a second old
    assert read["depth"]["dispatched"] == 1
    assert 0 <= read["oldest_waiting_seconds"] < 60
    assert read["oldest_waiting_id"] == left["id"]
    assert read["rates"] == {"created_per_minute": 3, "ended_per_minute": 0}


async def test_list_pages_by_name(api: httpx.AsyncClient) -> None:
    names = sorted(f"list-{uuid.uuid4()}" for _ in range(3))
    for name in names:
        await api.put(f"/v1/queues/{name}", json={})
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await api.get("/v1/queues", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        QueueList.model_validate(page)
        found += [queue["name"] for queue in page["queues"]]
        cursor = page["next_cursor"]
    assert [name for name in found if name in names] == names
    assert len(found) == len(set(found))
    assert (await api.get("/v1/queues", params={"cursor": "AAAA"})).status_code == 422


async def test_list_of_those_whose_names_hold_a_text(api: httpx.AsyncClient) -> None:
    mark = uuid.uuid4().hex
    names = [f"{mark}/a%", f"x-{mark.upper()}", f"y_{mark}"]
    for name in names:
        await api.put(f"/v1/queues/{quote(name)}", json={})
    first = (await api.get("/v1/queues", params={"name": mark, "limit": 2})).json()
    cursor = first["next_cursor"]
    rest = (await api.get("/v1/queues", params={"name": mark, "limit": 2, "cursor": cursor})).json()
    assert sorted(queue["name"] for queue in first["queues"] + rest["queues"]) == sorted(names)
    assert rest["next_cursor"] is None
    assert (await api.get("/v1/queues", params={"name": "other", "cursor": cursor})).status_code == 422
    literal = (await api.get("/v1/queues", params={"name": f"{mark}/A%"})).json()
    assert [queue["name"] for queue in literal["queues"]] == [names[0]]


async def test_no_more_jobs_are_held_than_the_limit_says(
    api: httpx.AsyncClient, create: Create, claim: Claim, queue: str
) -> None:
    await api.put(f"/v1/queues/{queue}", json={"concurrency_limit": 2})
    made = [await create() for _ in range(4)]
    first = await claimed(api, queue, wait=5)
    assert len(first) == 2
    assert await claimed(api, queue) == []
    by_id = await api.post("/v1/claims", json={"worker": "w", "job_ids": [job["id"] for job in made], "max": 4})
    assert by_id.json()["jobs"] == []
    await api.post(f"/v1/jobs/{first[0]['id']}/complete", json={"token": first[0]["lease"]["token"]})
    assert len(await claimed(api, queue)) == 1
    await api.put(f"/v1/queues/{queue}", json={})
    assert (await claim(wait=5))["id"] in {job["id"] for job in made}
