"""The metrics of a service over a socket: they move by what happens, and by nothing that clients may choose."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import StartService
from tests.service_process import ServiceProcess

REQUESTS, WAITS = "jobtrack_http_request_duration_seconds", "jobtrack_long_poll_wait_seconds"
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest_asyncio.fixture
async def alone(start_service: StartService) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that nobody else talks to."""
    async with (await start_service()).client() as client:
        yield client


async def read(client: httpx.AsyncClient) -> Series:
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float:
    """The sum of the series that have these labels."""
    return sum(number for (one, has), number in series.items() if one == name and labels.items() <= dict(has).items())


async def done(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.is_success, answer.text
    return dict(answer.json())


async def test_what_happens_to_jobs_is_counted_after_the_commit(alone: httpx.AsyncClient) -> None:
    job = await done(alone, "/v1/jobs", type="t")
    await done(alone, "/v1/jobs", type="t", claim={"worker": "w"})
    [claimed] = (await done(alone, "/v1/claims", worker="w"))["jobs"]
    token = claimed["lease"]["token"]
    await done(alone, f"/v1/jobs/{job['id']}/report", token=token, progress=5)
    await done(alone, f"/v1/jobs/{job['id']}/fail", token=token, code="c", message="m", retry_after_seconds=0)
    [claimed] = (await done(alone, "/v1/claims", worker="w", wait=10))["jobs"]
    late = await alone.post(f"/v1/jobs/{job['id']}/complete", json={"token": token})
    assert late.json()["code"] == "lease_lost"
    await done(alone, f"/v1/jobs/{job['id']}/complete", token=claimed["lease"]["token"])
    await done(alone, f"/v1/jobs/{job['id']}/rerun")
    again = await alone.post(f"/v1/jobs/{job['id']}/complete", json={"token": claimed["lease"]["token"]})
    assert again.status_code == 200, "the recorded answer"
    found = await read(alone)
    counted = {
        dict(labels)["event"]: number for (name, labels), number in found.items() if name == "jobtrack_job_events_total"
    }
    assert counted == {"created": 2, "claimed": 3, "started": 1, "retrying": 1, "completed": 1, "rerun": 1}
    assert value(found, "jobtrack_stale_calls_total", operation="complete") == 1
    assert value(found, "jobtrack_group_commit_batch_size_sum", writer="creations") == 2
    assert value(found, "jobtrack_group_commit_batch_size_sum", writer="calls") == 5


async def test_wait_is_told_apart_from_the_time_that_its_answer_took(alone: httpx.AsyncClient) -> None:
    job = await done(alone, "/v1/jobs", type="t")
    await alone.get(f"/v1/jobs/{job['id']}", params={"wait": 1})
    await done(alone, "/v1/jobs/wait", ids=[job["id"]], wait=1)
    [claimed] = (await done(alone, "/v1/claims", worker="w"))["jobs"]
    await done(alone, "/v1/claims", worker="w", wait=1)
    found = await read(alone)
    for route in ("/v1/jobs/{job_id}", "/v1/jobs/wait", "/v1/claims"):
        assert value(found, f"{REQUESTS}_sum", route=route) < 0.9, route
        assert value(found, f"{WAITS}_count", route=route) == 1
        assert 0.9 < value(found, f"{WAITS}_sum", route=route) < 5
    assert value(found, f"{REQUESTS}_count", route="/v1/claims", method="POST", status="2xx") == 2
    assert claimed["id"] == job["id"]


async def test_wait_that_is_over_soon_was_woken_by_the_news(alone: httpx.AsyncClient) -> None:
    job = await done(alone, "/v1/jobs", type="t")
    waiting = asyncio.create_task(done(alone, "/v1/jobs/wait", ids=[job["id"]], wait=20))
    while value(await read(alone), "jobtrack_open_waits") == 0:
        pass
    # What is read after the wait's own first read: it has begun to wait, and is not about to see the cancel by itself.
    await done(alone, "/v1/jobs/wait", ids=[job["id"]])
    await done(alone, f"/v1/jobs/{job['id']}/cancel")
    await waiting
    found = await read(alone)
    assert value(found, "jobtrack_open_waits") == 0
    assert value(found, "jobtrack_wake_latency_seconds_count", source="notify") == 1
    assert value(found, "jobtrack_wake_latency_seconds_sum", source="notify") < 1
    assert value(found, "jobtrack_late_wakeups_total") == 0


async def test_paths_and_methods_that_nobody_declared_add_no_series(alone: httpx.AsyncClient) -> None:
    async def try_everything() -> None:
        for path in (
            f"/{uuid.uuid4()}",
            f"/v1/{uuid.uuid4()}",
            f"/v1/jobs/{uuid.uuid4()}",
            "/static/none.js",
            "/v1/jobs",
        ):
            for method in ("GET", "HEAD", "PROPFIND", "PURGE"):
                assert (await alone.request(method, path)).status_code < 500

    await try_everything()
    before = {key for key in await read(alone) if key[0].startswith(REQUESTS)}
    await try_everything()
    after = {key for key in await read(alone) if key[0].startswith(REQUESTS)}
    assert {dict(labels)["route"] for _, labels in after - before} <= {"/metrics"}
    assert {dict(labels)["method"] for _, labels in after} <= {"GET", "other"}


async def test_service_tells_about_its_database_and_itself(alone: httpx.AsyncClient) -> None:
    before = await read(alone)
    await alone.get("/v1/jobs")
    found = await read(alone)
    assert value(found, "jobtrack_db_statements_total") > value(before, "jobtrack_db_statements_total")
    assert value(found, "jobtrack_db_pool_size_connections") == 10
    assert value(found, "jobtrack_db_pool_checked_out_connections") >= 0
    assert value(found, "process_resident_memory_bytes") > 10_000_000
    assert value(found, "process_cpu_seconds_total") > 0
    while value(found, "jobtrack_listener_up") == 0:
        found = await read(alone)
    assert len({dict(labels)["process"] for _, labels in found}) == 1
    assert not [name for name, _ in found if name.endswith("_created")]


async def test_pauses_of_the_garbage_collector_are_timed_and_waits_bring_them(alone: httpx.AsyncClient) -> None:
    name = "jobtrack_gc_pause_seconds"
    first = found = await read(alone)
    assert {dict(labels)["generation"] for series, labels in first if series == f"{name}_count"} == {"0", "1", "2"}
    job = await done(alone, "/v1/jobs", type="t")
    path, waits = f"/v1/jobs/{job['id']}", list[asyncio.Task[httpx.Response]]()
    unlimited = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=alone.base_url, headers=alone.headers, limits=unlimited, timeout=60) as many:
        # Each wait is some hundred objects, and idle it never is.
        async with asyncio.timeout(30):
            while value(found, f"{name}_count", generation="2") == value(first, f"{name}_count", generation="2"):
                waits += [asyncio.create_task(many.get(path, params={"wait": 50})) for _ in range(20)]
                found = await read(alone)
        await done(alone, f"{path}/cancel")
        answers = await asyncio.gather(*waits)
    assert {answer.json()["status"] for answer in answers} == {"cancelled"}
    assert value(found, f"{name}_sum", generation="2") > value(first, f"{name}_sum", generation="2")


@pytest.mark.parametrize("scope", ["read", "submit", "work", "admin"])
async def test_metrics_are_for_operators(api: httpx.AsyncClient, service: ServiceProcess, scope: str) -> None:
    key = await done(api, "/v1/keys", name="n", scopes=[scope])
    async with httpx.AsyncClient(base_url=service.url) as client:
        assert (await client.get("/metrics")).status_code == 401
        client.headers["Authorization"] = f"Bearer {key['key']}"
        assert (await client.get("/metrics")).status_code == 403
