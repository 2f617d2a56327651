"""Handlers that take too long: a blocked event loop, a run without end, a place that does not come back."""

import asyncio
import collections
import contextlib
import logging
import queue as queue_module
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jobtrack_client import (
    AsyncJobtrackClient,
    Job,
    JobCancelled,
    JobContext,
    JobtrackClient,
    Worker,
    WorkerStuckError,
)

Working = Callable[..., contextlib.AbstractAsyncContextManager[Worker]]
Ended = Callable[[str], Awaitable[Job]]
SECONDS = 20.0


async def test_a_blocked_loop_keeps_its_lease_and_is_warned_of(
    client: AsyncJobtrackClient,
    queue: str,
    recording: Any,
    working: Working,
    ended: Ended,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(_ctx: JobContext) -> str:
        # More heartbeats, each a third of the lease after the one before, than the lease has room for.
        for _ in range(5):
            recording.answered_in_thread.get(timeout=SECONDS)
        return "kept"

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue], lease_seconds=1):
        done = await ended(job["id"])
    assert (done["status"], done["result"], done["attempt"]) == ("completed", "kept", 1)
    (warning,) = (text for record in caplog.records if "has been blocked for" in (text := record.getMessage()))
    assert f"by job {job['id']}" in warning
    assert "recording.answered_in_thread.get" in warning


async def test_the_other_jobs_of_a_blocked_loop_keep_theirs(
    client: AsyncJobtrackClient, queue: str, recording: Any, working: Working
) -> None:
    both = asyncio.Barrier(2)

    async def handler(ctx: JobContext) -> None:
        await both.wait()
        heartbeats: collections.Counter[str] = collections.Counter()
        while ctx.payload == "blocks" and (len(heartbeats) < 2 or min(heartbeats.values()) < 4):
            entries = recording.answered_in_thread.get(timeout=SECONDS)["reports"]
            heartbeats.update(entry["job_id"] for entry in entries)

    jobs = [
        (await client.create_job("work", queue=queue, payload=payload, max_attempts=1))["id"]
        for payload in ("blocks", "waits")
    ]
    async with working(handler, queues=[queue], lease_seconds=1, concurrency=2):
        states = await client.wait_jobs(jobs, wait=20)
    assert [(job["status"], job["attempt"]) for job in states["jobs"]] == [("completed", 1)] * 2


async def test_a_blocked_handler_sees_that_it_is_cancelled(
    service: Any, client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    def cancel(job_id: str) -> None:
        with JobtrackClient(service.url, service.api_key) as other:
            other.cancel(job_id)

    async def handler(ctx: JobContext) -> None:
        thread = threading.Thread(target=cancel, args=(ctx.job["id"],))
        thread.start()
        seen.append(ctx.cancelled.wait(SECONDS))
        thread.join()
        ctx.check_cancelled()

    seen: list[bool] = []
    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue], lease_seconds=1):
        done = await ended(job["id"])
    assert done["status"] == "cancelled"
    assert seen == [True]


async def test_a_coroutine_that_runs_too_long_is_cancelled_and_its_place_is_free(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    cleaned = asyncio.Event()

    async def handler(ctx: JobContext) -> str:
        if ctx.job["attempt"] == 2:
            return "in time"
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()
        raise AssertionError

    await client.put_queue(queue, retry={"delay_seconds": 0, "factor": 1, "max_delay_seconds": 0})
    job = await client.create_job("work", queue=queue, max_attempts=2)
    async with working(handler, queues=[queue], max_run_seconds={"work": 0.1}):
        done = await ended(job["id"])
    assert cleaned.is_set()
    assert (done["status"], done["result"], done["attempt"]) == ("completed", "in time", 2)
    events = (await client.list_events(job["id"]))["events"]
    assert "run_too_long" in str(events)
    (line,) = (await client.read_logs(job["id"]))["logs"]
    assert (line["level"], line["message"]) == ("error", "The handler ran for more than 0.1 seconds")


@pytest.mark.parametrize("late", ["returns", "raises"])
async def test_what_comes_after_the_time_is_too_late(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, late: str
) -> None:
    def handler(ctx: JobContext) -> str:
        assert ctx.cancelled.wait(SECONDS)
        if late == "raises":
            ctx.check_cancelled()
        return "late"

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue], max_run_seconds=0.1):
        done = await ended(job["id"])
    assert done["error"] is not None
    assert (done["status"], done["error"]["code"], done.get("result")) == ("failed", "run_too_long", None)


async def test_a_thread_that_cannot_be_ended_is_heard_no_more_and_stops_the_worker(
    client: AsyncJobtrackClient, queue: str, recording: Any, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    heard: queue_module.Queue[str] = queue_module.Queue()

    def handler(ctx: JobContext) -> None:
        go_on.wait(SECONDS)
        ctx.report(77, message="late")
        ctx.item(key="late")
        ctx.log("info", "late")
        ctx.save_checkpoint("late")
        try:
            ctx.flush_from_thread()
        except JobCancelled as error:
            heard.put(str(error))

    job = await client.create_job("work", queue=queue, max_attempts=1)
    other = await client.create_job("work", queue=queue)
    worker = Worker(
        client,
        types={"work": handler},
        queues=[queue],
        lease_seconds=1,
        max_run_seconds=0.1,
        grace_seconds=0.1,
    )
    with pytest.raises(WorkerStuckError, match="all 1 places are lost"):
        async with asyncio.timeout(SECONDS):
            await worker.run()
    failed = await client.get_job(job["id"])
    assert failed["error"] is not None
    assert (failed["status"], failed["error"]["code"]) == ("failed", "run_too_long")
    sent = len(recording.requests)
    go_on.set()
    assert await asyncio.to_thread(heard.get, timeout=SECONDS) == "The attempt has ended"
    assert len(recording.requests) == sent
    assert await client.get_job(job["id"]) == failed
    assert (await client.get_job(other["id"]))["status"] == "pending"
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert any("was abandoned" in text and "has 0 of 1 places left" in text for text in said)
    assert any(text.endswith("it stops") for text in said)


@pytest.mark.parametrize("why", ["cancelled", "too long"])
async def test_a_lost_place_is_used_again_when_its_handler_ends(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, why: str
) -> None:
    loop = asyncio.get_running_loop()
    stuck, next_runs = asyncio.Event(), asyncio.Event()
    go_on, both = threading.Event(), threading.Barrier(2)

    def handler(ctx: JobContext) -> None:
        if ctx.payload == "stuck":
            loop.call_soon_threadsafe(stuck.set)
            go_on.wait(SECONDS)
        else:
            loop.call_soon_threadsafe(next_runs.set)
            both.wait(SECONDS)

    first = await client.create_job("work", queue=queue, payload="stuck", max_attempts=1)
    seconds = 1.0 if why == "too long" else None
    async with working(
        handler, queues=[queue], concurrency=2, lease_seconds=1, grace_seconds=0.1, max_run_seconds={"work": seconds}
    ) as worker:
        await stuck.wait()
        if why == "cancelled":
            await client.cancel(first["id"])
        assert (await ended(first["id"]))["status"] in {"cancelled", "failed"}
        # The limit is for the first job alone.
        worker._max_run_seconds["work"] = None
        others = [(await client.create_job("work", queue=queue))["id"] for _ in range(2)]
        await next_runs.wait()
        waiting = (await client.wait_jobs(others, wait=0))["jobs"]
        assert sum(job["status"] == "pending" for job in waiting) == 1
        go_on.set()
        states = await client.wait_jobs(others, wait=20)
    assert {job["status"] for job in states["jobs"]} == {"completed"}


async def test_a_handler_that_blocks_the_loop_for_too_long_is_failed_from_the_thread(
    client: AsyncJobtrackClient, queue: str, recording: Any, working: Working, ended: Ended
) -> None:
    async def handler(ctx: JobContext) -> str:
        for _ in range(20):
            (entry,) = recording.answered_in_thread.get(timeout=SECONDS)["reports"]
            if entry["action"] == "fail":
                break
        # The word of an attempt that has been failed.
        ctx.report(99)
        return "late"

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue], lease_seconds=1, max_run_seconds=0.5, grace_seconds=0.1):
        done = await ended(job["id"])
    assert done["error"] is not None
    assert (done["status"], done["error"]["code"]) == ("failed", "run_too_long")
    assert recording.answered_in_thread.empty()
    assert done["progress"] < 99


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), {"work": 0}])
def test_a_limit_is_a_number_of_seconds_or_none(seconds: Any) -> None:
    with pytest.raises(ValueError, match="max_run_seconds"):
        Worker(AsyncJobtrackClient(), types={"work": print}, max_run_seconds=seconds)


def test_no_limit_has_to_be_asked_for() -> None:
    def limits(**options: Any) -> dict[str, float | None]:
        return Worker(AsyncJobtrackClient(), types={"a": print, "b": print}, **options)._max_run_seconds

    assert limits() == {"a": 86_400, "b": 86_400}
    assert limits(max_run_seconds=None) == {"a": None, "b": None}
    assert limits(max_run_seconds=5) == {"a": 5, "b": 5}
    assert limits(max_run_seconds={"a": None}) == {"a": None, "b": 86_400}
    with pytest.raises(ValueError, match="without a handler: c"):
        limits(max_run_seconds={"c": 5})
