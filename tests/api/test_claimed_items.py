"""Claims that include items: the unfinished ones of each job, and a cursor where there are more."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.conftest import SMALL_ANSWER
from tests.service_process import ServiceProcess

Create = Callable[..., Awaitable[dict[str, Any]]]
Claim = Callable[..., Awaitable[dict[str, Any]]]
UNFINISHED: dict[str, Any] = {"status": ["queued", "processing"], "limit": 1000}


def keys_of(page: dict[str, Any]) -> list[str]:
    return [item["key"] for item in page["items"]]


def made(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"key": f"f{n:04}", **fields} for n in range(count)]


async def report(api: httpx.AsyncClient, job: dict[str, Any], items: list[dict[str, Any]]) -> None:
    answer = await api.post(
        f"/v1/jobs/{job['id']}/report", json={"token": job["lease"]["token"], "items": items, "lease_seconds": 600}
    )
    assert answer.status_code == 200, answer.text


async def release(api: httpx.AsyncClient, job: dict[str, Any]) -> None:
    answer = await api.post(f"/v1/jobs/{job['id']}/release", json={"token": job["lease"]["token"]})
    assert answer.status_code == 200, answer.text


async def rest_of(api: httpx.AsyncClient, job: dict[str, Any]) -> list[str]:
    """The keys behind the page that came with the claim."""
    keys: list[str] = []
    cursor = job["items"]["next_cursor"]
    while cursor is not None:
        answer = await api.get(f"/v1/jobs/{job['id']}/items", params={**UNFINISHED, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        keys += keys_of(answer.json())
        cursor = answer.json()["next_cursor"]
    return keys


async def test_a_rerun_of_failed_items_comes_with_them(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    job = await create(items=made(5, name="n", uri="file:///n", size_bytes=7))
    held = await claim()
    failed = [{"key": key, "status": "failed", "error_code": "torn"} for key in ("f0001", "f0003")]
    await report(api, held, [*failed, *({"key": f"f000{n}", "status": "completed"} for n in (0, 2, 4))])
    await api.post(f"/v1/jobs/{job['id']}/complete", json={"token": held["lease"]["token"]})
    await api.post(f"/v1/jobs/{job['id']}/rerun", json={"only_failed_items": True})
    rerun = await claim(include=["items"])
    assert rerun["original_job_id"] == job["id"]
    assert keys_of(rerun["items"]) == ["f0001", "f0003"]
    assert rerun["items"]["next_cursor"] is None
    listed = (await api.get(f"/v1/jobs/{rerun['id']}/items")).json()
    assert rerun["items"] == listed
    assert listed["items"][0]["status"] == "queued"


async def test_without_the_wish_nothing_is_there(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    await create(items=made(2))
    wishes: list[dict[str, Any]] = [{}, {"include": []}]
    for include in wishes:
        held = await claim(**include)
        assert "items" not in held
        await release(api, held)


async def test_a_job_without_items_has_an_empty_page(create: Create, claim: Claim) -> None:
    await create()
    assert (await claim(include=["items"]))["items"] == {"items": [], "next_cursor": None}


async def test_finished_items_are_left_out(api: httpx.AsyncClient, create: Create, claim: Claim) -> None:
    await create(items=made(6))
    held = await claim()
    statuses = ["completed", "failed", "skipped", "cancelled", "processing"]
    await report(api, held, [{"key": f"f{n:04}", "status": status} for n, status in enumerate(statuses)])
    await release(api, held)
    again = await claim(include=["items"])
    assert [(item["key"], item["status"]) for item in again["items"]["items"]] == [
        ("f0004", "processing"),
        ("f0005", "queued"),
    ]


@pytest.mark.parametrize(("total", "finished"), [(1000, 0), (1001, 0), (2300, 0), (2300, 1500), (5600, 5500)])
async def test_the_cursor_goes_on_behind_the_first_thousand(
    api: httpx.AsyncClient, create: Create, claim: Claim, total: int, finished: int
) -> None:
    await create()
    held = await claim()
    for start in range(0, total, 1000):
        keys = range(start, min(start + 1000, total))
        await report(
            api, held, [{"key": f"f{n:04}", "status": "completed" if n < finished else "queued"} for n in keys]
        )
    await release(api, held)
    again = await claim(include=["items"])
    first = keys_of(again["items"])
    assert len(first) == (min(1000, total - finished) if finished < 5000 else 0)
    assert first + await rest_of(api, again) == [f"f{n:04}" for n in range(finished, total)]


async def test_many_jobs_get_each_its_own(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    for n in range(7):
        await create(items=[{"key": f"{n}-{m}"} for m in range(n)])
    body = {"worker": "w", "queues": [queue], "max": 100, "include": ["items"]}
    jobs = (await api.post("/v1/claims", json=body)).json()["jobs"]
    assert [keys_of(job["items"]) for job in jobs] == [[f"{n}-{m}" for m in range(n)] for n in range(7)]


async def test_the_claim_of_an_ending_has_them_too(
    api: httpx.AsyncClient, create: Create, claim: Claim, queue: str
) -> None:
    for n in range(4):
        await create(items=[{"key": f"of-{n}"}])
    held = await claim()
    next_claim = {"queues": [queue], "include": ["items"]}
    for n, (action, fields) in enumerate((("complete", {}), ("fail", {"code": "c", "message": "m"}))):
        body = {"token": held["lease"]["token"], **fields, "claim": next_claim}
        answer = await api.post(f"/v1/jobs/{held['id']}/{action}", json=body)
        [held] = answer.json()["claimed"]
        assert keys_of(held["items"]) == [f"of-{n + 1}"]
    row = {"job_id": held["id"], "action": "complete", "token": held["lease"]["token"]}
    answer = await api.post("/v1/reports", json={"reports": [row], "claim": {"worker": "w", **next_claim}})
    assert [keys_of(job["items"]) for job in answer.json()["claimed"]] == [["of-3"]]


async def test_the_repeat_under_a_key_has_them_again(api: httpx.AsyncClient, create: Create, queue: str) -> None:
    await create(items=made(3))
    body = {"worker": "w", "queues": [queue], "include": ["items"]}
    first, again = [await api.post("/v1/claims", json=body, headers={"Idempotency-Key": queue}) for _ in range(2)]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (
        keys_of(first.json()["jobs"][0]["items"]) == keys_of(again.json()["jobs"][0]["items"]) == [*map(_key, range(3))]
    )


def _key(n: int) -> str:
    return f"f{n:04}"


@pytest.mark.parametrize("include", [["payload"], ["items", "items"], "items", [1]], ids=str)
async def test_a_wrong_wish_is_refused(api: httpx.AsyncClient, create: Create, queue: str, include: Any) -> None:
    job = await create()
    answer = await api.post("/v1/claims", json={"worker": "w", "queues": [queue], "include": include})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("/include")
    assert (await api.get(f"/v1/jobs/{job['id']}")).json()["status"] == "pending"


class TestSmallAnswers:
    """Of a service whose answers are short."""

    @pytest.fixture
    def service(self, small_service: ServiceProcess) -> ServiceProcess:
        return small_service

    async def test_items_stop_where_the_answer_is_full(
        self, api: httpx.AsyncClient, create: Create, queue: str
    ) -> None:
        expected = []
        for _ in range(3):
            job = await create(items=made(60, uri=f"file:///{'u' * 500}"))
            expected.append((job["id"], [_key(n) for n in range(60)]))
        body = {"worker": "w", "queues": [queue], "max": 100, "include": ["items"]}
        answer = await api.post("/v1/claims", json=body)
        jobs = answer.json()["jobs"]
        assert len(answer.content) <= SMALL_ANSWER
        first, second, third = (len(job["items"]["items"]) for job in jobs)
        assert first == 60 > second > third == 0
        assert [(job["id"], keys_of(job["items"]) + await rest_of(api, job)) for job in jobs] == expected
