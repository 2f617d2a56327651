"""Answers end where they are full: pages early with a cursor, and none without a row."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.conftest import SMALL_ANSWER
from tests.service_process import ServiceProcess

LIMIT = SMALL_ANSWER
PART = "x" * 15_000
"""Four of these fit."""
WHOLE = random.Random(7).randbytes(50_000).hex()
"""More than fits, also as the database packs it."""
Create = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
def service(small_service: ServiceProcess) -> ServiceProcess:
    """The service that these tests talk to."""
    return small_service


async def walk(api: httpx.AsyncClient, path: str, rows: str, **query: Any) -> list[list[dict[str, Any]]]:
    """All pages; each but one of a single row is small."""
    pages = []
    cursor: dict[str, Any] = {}
    while True:
        answer = await api.get(path, params={**query, **cursor})
        page = answer.json()
        pages.append(page[rows])
        assert len(answer.content) <= LIMIT or len(page[rows]) == 1
        assert page[rows] or page["next_cursor"] is None
        if page["next_cursor"] is None:
            return pages
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("large", ["payload", "labels"])
async def test_list_of_jobs_ends_early(api: httpx.AsyncClient, create: Create, queue: str, large: str) -> None:
    labels = {f"name-{n}": "\x01" * 240 for n in range(10)}
    fields: dict[str, Any] = {"payload": {"a": PART}} if large == "payload" else {"labels": labels}
    ids = [(await create(**fields))["id"] for _ in range(11)]
    if large == "payload":
        ids += [(await create(payload=WHOLE))["id"], (await create())["id"]]
    for query in ({"queue": queue}, {"queue": queue, "type": "work", "limit": 7}):
        included = {"include": "payload"} if large == "payload" else {}
        pages = await walk(api, "/v1/jobs", "jobs", **included, **query)
        assert [job["id"] for page in pages for job in page] == ids[::-1]
        assert all(("payload" in job) == bool(included) for page in pages for job in page)
        assert max(map(len, pages)) >= 3


async def test_wait_names_the_jobs_whose_documents_it_has_no_room_for(api: httpx.AsyncClient, create: Create) -> None:
    ids = [(await create(payload={"n": n, "a": PART}))["id"] for n in range(10)]
    ids.insert(3, (await create(payload=WHOLE))["id"])
    for wait in ({"wait": 0}, {"wait": 1, "until": "change"}):
        left = [*ids, "unknown"]
        seen: dict[str, Any] = {}
        for _ in ids:
            answer = await api.post("/v1/jobs/wait", json={"ids": left, "include": ["payload"], **wait})
            body = answer.json()
            assert body["not_found"] == ["unknown"]
            assert [job["id"] for job in body["jobs"]] == left[:-1]
            shown = {job["id"]: job["payload"] for job in body["jobs"] if "payload" in job}
            assert shown
            assert len(shown) == 1 or len(answer.content) <= LIMIT + 1_000 * len(ids)
            assert body["documents_omitted"] == [id_ for id_ in left[:-1] if id_ not in shown]
            seen |= shown
            left = [*body["documents_omitted"], "unknown"]
            if left == ["unknown"]:
                break
        assert list(seen) == ids
        assert [seen[id_] for id_ in ids] == [(await api.get(f"/v1/jobs/{id_}")).json()["payload"] for id_ in ids]
    small = await api.post("/v1/jobs/wait", json={"ids": ids, "include": ["result"]})
    assert small.json()["documents_omitted"] == []
    assert all(job["result"] is None and "payload" not in job for job in small.json()["jobs"])


async def test_items_log_and_history_end_early(api: httpx.AsyncClient, create: Create) -> None:
    job = await create(claim={"worker": "w"})
    path, token = f"/v1/jobs/{job['id']}", job["lease"]["token"]
    for turn in range(4):
        items = [
            {
                "key": f"{turn}-{n}",
                "status": "failed" if n % 2 else "completed",
                "message": "\x02" * 4_000,
                "stage": "s",
            }
            for n in range(5)
        ]
        logs = [{"message": '"' * 16_000}, {"message": "short"}, {"message": "z" * 10_000}]
        report = {"token": token, "items": items, "logs": logs, "stage": f"stage-{turn}"}
        assert (await api.post(f"{path}/report", json=report)).status_code == 200
    for query in ({}, {"status": "failed"}, {"limit": 3}):
        pages = await walk(api, f"{path}/items", "items", **query)
        keys = [f"{turn}-{n}" for turn in range(4) for n in range(5) if n % 2 or "status" not in query]
        assert [item["key"] for page in pages for item in page] == keys
        assert max(map(len, pages)) == 2
    await api.post(f"{path}/fail", json={"token": token, "code": "c", "message": "m" * 4_000, "retryable": False})
    lines: list[int] = []
    while True:
        answer = await api.get(f"{path}/logs", params={"offset": len(lines)})
        body = answer.json()
        assert len(answer.content) <= LIMIT
        lines += [line["line"] for line in body["logs"]]
        assert body["next_offset"] == len(lines)
        assert body["ended"] == (len(lines) == 12)
        if body["ended"]:
            break
    assert lines == list(range(12))


async def test_history_ends_early(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    job = await create(max_attempts=30, retry={"delay_seconds": 0})
    path = f"/v1/jobs/{job['id']}"
    for _ in range(15):
        claim = {"worker": "\x04" * 250, "queues": [queue], "wait": 5}
        [claimed] = (await api.post("/v1/claims", json=claim)).json()["jobs"]
        fail = {"token": claimed["lease"]["token"], "code": "\x03" * 250, "message": "m"}
        assert (await api.post(f"{path}/fail", json=fail)).status_code == 200
    pages = await walk(api, f"{path}/events", "events")
    assert len(pages) == 2
    assert [event["type"] for page in pages for event in page] == ["job.created", *["job.claimed", "job.retrying"] * 15]


async def test_repeated_batch_names_the_jobs_whose_documents_it_has_no_room_for(
    api: httpx.AsyncClient, queue: str
) -> None:
    batch = {"jobs": [{"type": "t", "queue": queue, "claim": {"worker": "w"}} for _ in range(6)]}
    key = {"Idempotency-Key": "grown"}
    first = (await api.post("/v1/jobs/batch", json=batch, headers=key)).json()
    assert first["documents_omitted"] == []
    jobs = [row["job"] for row in first["results"]]
    for job in jobs:
        body = {"token": job["lease"]["token"], "result": PART}
        assert (await api.post(f"/v1/jobs/{job['id']}/complete", json=body)).status_code == 200
    answer = await api.post("/v1/jobs/batch", json=batch, headers=key)
    again = [row["job"] for row in answer.json()["results"]]
    assert len(answer.content) <= SMALL_ANSWER + 1_000 * len(jobs)
    assert [job["id"] for job in again] == [job["id"] for job in jobs]
    assert [job["result"] for job in again] == [PART] * 4 + [None] * 2
    assert answer.json()["documents_omitted"] == [job["id"] for job in jobs[4:]]
