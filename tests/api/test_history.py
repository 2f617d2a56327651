"""Events, logs and streams over a socket."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from app.api.events.wire import EventList, EventOut, LogLines
from tests.api.conftest import Claim, Create
from tests.streams import streamed


async def finish(api: httpx.AsyncClient, job: dict[str, Any]) -> None:
    token = job["lease"]["token"]
    await api.post(f"/v1/jobs/{job['id']}/report", json={"token": token, "progress": 50, "stage": "s"})
    await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": token})


async def test_history_comes_page_by_page(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    job = await create()
    await finish(api, await claim())
    path = f"/v1/jobs/{job['id']}/events"
    whole = (await api.get(path)).json()
    EventList.model_validate(whole)
    types = [event["type"] for event in whole["events"]]
    assert types == ["job.created", "job.claimed", "job.progressed", "job.completed"]
    assert [(event["from"], event["to"]) for event in whole["events"]][1] == ("pending", "dispatched")
    paged: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await api.get(path, params={"limit": 3, **({"cursor": cursor} if cursor else {})})).json()
        paged += page["events"]
        cursor = page["next_cursor"]
    assert paged == whole["events"]
    assert (await api.get(path, params={"cursor": "AAAA"})).status_code == 422
    assert (await api.get(f"/v1/jobs/{uuid.uuid4()}/events")).status_code == 404


async def test_log_is_read_by_line_and_followed_to_its_end(
    api: httpx.AsyncClient, create: Create, claim: Claim
) -> None:
    job = await create()
    token = (await claim())["lease"]["token"]
    path = f"/v1/jobs/{job['id']}/logs"

    async def write(*messages: str) -> None:
        logs = [{"message": message, "level": "warning"} for message in messages]
        answer = await api.post(f"/v1/jobs/{job['id']}/report", json={"token": token, "logs": logs})
        assert answer.status_code == 200

    await write("a", "b")
    await write("c")
    first = (await api.get(path, params={"limit": 2})).json()
    LogLines.model_validate(first)
    assert [(line["line"], line["message"], line["level"]) for line in first["logs"]] == [
        (0, "a", "warning"),
        (1, "b", "warning"),
    ]
    assert (first["next_offset"], first["ended"]) == (2, False)
    assert [line["message"] for line in (await api.get(path, params={"offset": 2})).json()["logs"]] == ["c"]
    following = asyncio.create_task(api.get(path, params={"offset": 3, "wait": 30}))
    await write("d")
    told = (await asyncio.wait_for(following, 10)).json()
    assert ([line["message"] for line in told["logs"]], told["next_offset"]) == (["d"], 4)
    following = asyncio.create_task(api.get(path, params={"offset": 4, "wait": 30}))
    await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": token})
    assert (await asyncio.wait_for(following, 10)).json() == {"logs": [], "next_offset": 4, "ended": True}
    for query in ("offset=-1", "offset=x", "wait=-1", f"offset={2**64}"):
        assert (await api.get(f"{path}?{query}")).status_code == 422


async def test_stream_of_a_job_ends_with_it(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    job = await create()
    async with streamed(api, f"/v1/jobs/{job['id']}/stream") as stream:
        name, data, _ = await stream.next()
        assert (name, data["status"]) == ("snapshot", "pending")
        await finish(api, await claim())
        seen = []
        while (told := await stream.next())[0]:
            seen.append(told)
    names = [name for name, _, _ in seen if name != "job"]
    assert names == ["job.claimed", "job.progressed", "job.completed"]
    assert [data["status"] for name, data, _ in seen if name == "job"][-1] == "completed"


async def test_stream_of_a_job_resumes_behind_an_event(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    job = await create()
    await finish(api, await claim())
    events = (await api.get(f"/v1/jobs/{job['id']}/events")).json()["events"]
    path = f"/v1/jobs/{job['id']}/stream"
    async with streamed(api, path, headers={"Last-Event-ID": events[1]["id"]}) as stream:
        assert (await stream.next())[0] == "snapshot"
        assert [(await stream.next())[1] for _ in range(2)] == events[2:]
        assert (await stream.next())[0] == ""


async def test_stream_tells_what_happens_and_goes_on_where_it_was(
    api: httpx.AsyncClient, create: Create, queue: str
) -> None:
    mine = {"queue": queue}
    async with streamed(api, "/v1/events", params=mine) as stream:
        name, data, begun = await stream.next()
        assert name == "snapshot"
        assert set(data["jobs"]) == {"pending", "dispatched", "running", "retrying", "cancelling"}
        first = await create()
        name, event, event_id = await stream.next()
        EventOut.model_validate(event)
        assert (name, event["job_id"], event["id"]) == ("job.created", first["id"], event_id)
    assert event_id is not None
    missed = await create()
    async with streamed(api, "/v1/events", params=mine, headers={"Last-Event-ID": event_id}) as stream:
        assert (await stream.next())[1]["job_id"] == missed["id"]
        later = await create()
        assert (await stream.next())[1]["job_id"] == later["id"]
    async with streamed(api, "/v1/events", params={**mine, "cursor": begun or ""}) as stream:
        ids = [(await stream.next())[1]["job_id"] for _ in range(3)]
        assert ids == [first["id"], missed["id"], later["id"]]


async def test_stream_of_some_types(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    async with streamed(api, "/v1/events", params={"queue": queue, "type": "job.cancelled"}) as stream:
        await stream.next()
        job = await create()
        await api.post(f"/v1/jobs/{job['id']}/cancel")
        assert (await stream.next())[0] == "job.cancelled"


@pytest.mark.parametrize("last", ["nonsense", "AAAA", "x" * 300])
async def test_last_event_that_is_none_is_refused(api: httpx.AsyncClient, last: str) -> None:
    answer = await api.get("/v1/events", headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


async def test_position_of_another_project_is_refused(api: httpx.AsyncClient, create: Create) -> None:
    job = await create()
    [event] = (await api.get(f"/v1/jobs/{job['id']}/events")).json()["events"]
    project = (await api.post("/v1/projects", json={"name": f"p-{uuid.uuid4()}"})).json()
    body = {"name": "k", "scopes": ["read"], "project_id": project["id"]}
    key = (await api.post("/v1/keys", json=body)).json()["key"]
    headers = {"Authorization": f"Bearer {key}", "Last-Event-ID": event["id"]}
    assert (await api.get("/v1/events", headers=headers)).status_code == 422
    for path in ("events", "logs", "stream"):
        assert (
            await api.get(f"/v1/jobs/{job['id']}/{path}", headers={"Authorization": f"Bearer {key}"})
        ).status_code == 404


async def test_reader_who_has_the_last_event_of_an_ended_job_gets_204(
    api: httpx.AsyncClient, create: Create, claim: Claim
) -> None:
    """As `EventSource` reads: it comes back with the last id it has until it is told 204."""
    job = await create()
    path = f"/v1/jobs/{job['id']}/stream"
    async with streamed(api, path) as stream:
        name, _, last = await stream.next()
        assert (name, bool(last)) == ("snapshot", True)
        held = await claim()
        # Who was cut off after the snapshot comes back to where that was, and misses nothing.
        async with streamed(api, path, headers={"Last-Event-ID": last or ""}) as back:
            assert (await back.next())[0] == "snapshot"
            assert (await back.next())[0] == "job.claimed"
        await finish(api, held)
        told = []
        while (event := await stream.next())[0]:
            told.append(event)
            last = event[2] or last
    assert (told[-1][0], told[-1][2]) == ("job.completed", last)
    for headers, query in (({"Last-Event-ID": last or ""}, {}), ({}, {"cursor": last or ""})):
        answer = await api.get(path, headers=headers, params=query)
        assert (answer.status_code, answer.content) == (204, b"")
    late = await create()
    await api.post(f"/v1/jobs/{late['id']}/cancel")
    path = f"/v1/jobs/{late['id']}/stream"
    async with streamed(api, path) as stream:
        name, data, last = await stream.next()
        assert (name, data["status"], (await stream.next())[0]) == ("snapshot", "cancelled", "")
    assert (await api.get(path, headers={"Last-Event-ID": last or ""})).status_code == 204
    live = await create()
    [created] = (await api.get(f"/v1/jobs/{live['id']}/events")).json()["events"]
    async with streamed(api, f"/v1/jobs/{live['id']}/stream", headers={"Last-Event-ID": created["id"]}) as stream:
        assert (await stream.next())[0] == "snapshot"
