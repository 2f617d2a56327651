"""What two processes on one database count, and what their text leaves to others."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from app.core.metrics import MAX_QUEUES, Depths, Metrics
from app.core.wait_clock import time_waits, timed_wait
from app.domain.errors import UnavailableError
from app.domain.ids import new_id
from app.domain.job import NewJob
from app.domain.states import LIVE
from app.runtime import Runtime

PROJECT = new_id()
MOST_WAITING_ROUTES = 20
"""More than there are routes that wait."""
Pair = tuple[Runtime, Runtime]


@pytest_asyncio.fixture
async def pair(database_url: str) -> AsyncIterator[Pair]:
    one, two = (Runtime(database_url, pool_size=2) for _ in range(2))
    await asyncio.gather(one.start(), two.start())
    yield one, two
    await asyncio.gather(one.stop(), two.stop())


async def value(metrics: Metrics, name: str, **labels: str) -> float:
    text = (await metrics.render()).decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"jobtrack_{name}" and labels.items() <= sample.labels.items()
    )


async def test_wake_that_only_the_sweep_could_give_is_late_and_told_apart(pair: Pair) -> None:
    here, there = pair
    await there.feed.stop()
    job = (await here.services.jobs.create(PROJECT, NewJob(id=new_id(), type="t"))).job
    waiting_there = asyncio.create_task(there.services.waits.wait(PROJECT, [job.id], seconds=20))
    while not list(there.waiters.seen_versions()):
        await asyncio.sleep(0)
    await there.services.jobs.get(PROJECT, job.id)
    await here.services.jobs.cancel(PROJECT, job.id, by=None)
    await waiting_there
    mine, theirs = here.services.metrics, there.services.metrics
    assert await value(theirs, "late_wakeups_total") == 1
    assert await value(theirs, "wake_latency_seconds_count", source="sweep") == 1
    assert await value(theirs, "wake_latency_seconds_count", source="notify") == 0
    assert await value(theirs, "sweep_duration_seconds_count") >= 1
    assert await value(theirs, "job_events_total") == 0, "it happened elsewhere"
    assert await value(mine, "job_events_total", event="cancelled") == 1
    assert await value(mine, "late_wakeups_total") == 0


async def test_statements_are_counted_one_by_one(database_url: str) -> None:
    idle = Runtime(database_url, pool_size=1)
    # Reading the depths of the queues is a statement as well.
    idle.services.metrics.queue_depths = None
    counted = []
    for _ in range(3):
        await idle.services.jobs.get_many(PROJECT, [new_id()])
        counted.append(await value(idle.services.metrics, "db_statements_total"))
    for _ in range(2):
        await idle.services.jobs.create(PROJECT, NewJob(id=new_id(), type="t"))
        counted.append(await value(idle.services.metrics, "db_statements_total"))
    await idle.stop()
    assert counted[:3] == [1, 2, 3]
    assert counted[3] - 3 == 4, "a new queue takes the transaction, which counts the project's under a lock"
    assert counted[4] - counted[3] == 1, "one for the job and its event; no BEGIN, no COMMIT"


async def test_large_queues_have_names_and_the_others_are_one() -> None:
    metrics = Metrics()

    async def depths() -> Depths:
        return {(f"q-{number:03}", "pending"): 1000 - number for number in range(MAX_QUEUES + 20)}

    assert await value(metrics, "queue_jobs") == 0
    metrics.queue_depths = depths
    assert await value(metrics, "queue_jobs", queue="q-000") == 1000
    assert await value(metrics, "queue_jobs", queue="q-100") == 0
    assert await value(metrics, "queue_jobs", queue="other") == sum(1000 - number for number in range(100, 120))
    text = (await metrics.render()).decode()
    assert "process=" not in "".join(line for line in text.splitlines() if line.startswith("jobtrack_queue_"))


async def test_everything_else_is_shown_while_the_database_is_away() -> None:
    metrics = Metrics()

    async def depths() -> Depths:
        raise UnavailableError("The database is not available just now.")

    metrics.queue_depths = depths
    metrics.count_stale("report")
    assert await value(metrics, "stale_calls_total", operation="report") == 1
    assert await value(metrics, "queue_jobs") == 0


async def test_waits_of_a_requests_own_tasks_are_timed_and_so_is_one_that_goes_on() -> None:
    waited = time_waits()
    entered, leave = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        with timed_wait():
            entered.set()
            await leave.wait()

    task = asyncio.create_task(wait())
    await entered.wait()
    going_on = waited.seconds()
    assert waited.seconds() > going_on > 0
    leave.set()
    await task
    assert waited.seconds() == waited.seconds() > going_on


@pytest.mark.parametrize("letter", ["x", "\N{GRINNING FACE}", '"', "\\"])
async def test_the_text_stays_small_whatever_is_asked_and_whatever_queues_are_called(
    database_url: str, letter: str
) -> None:
    runtime = Runtime(database_url, pool_size=1)
    for n in range(150):
        route = SimpleNamespace(path=f"/api/v1/beta/batch-processing/{n}/{{job_id}}/of/a/vendor/with/long/paths")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "INVENTED"):
            for status in (200, 304, 404, 503):
                runtime.telemetry.answered({"method": method, "route": route}, status, 0.01)
        if n < MOST_WAITING_ROUTES:
            runtime.telemetry.waited({"method": "GET", "route": route}, 1.0)
    depths = {(f"{n:03}{letter * 252}", state.value): 10_000 for n in range(10_000) for state in LIVE}

    async def many() -> Depths:
        return depths

    runtime.services.metrics.queue_depths = many
    text = await runtime.services.metrics.render()
    await runtime.database.close()

    assert len(text) < 300_000
    counted = sum(
        sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name in ("jobtrack_http_request_duration_seconds_count", "jobtrack_queue_jobs")
    )
    assert counted == 150 * 7 * 4 + sum(depths.values())
