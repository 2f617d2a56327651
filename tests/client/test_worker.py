"""The worker against the running service: what a handler does, and what becomes of the job."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jobtrack_client import AsyncJobtrackClient, Done, Fail, Job, JobContext, Worker

Working = Callable[..., contextlib.AbstractAsyncContextManager[Worker]]
Ended = Callable[[str], Awaitable[Job]]


async def test_a_coroutine_completes_its_job(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    async def handler(ctx: JobContext) -> Done:
        ctx.report(50, stage="reading", message="half", items_total=3)
        ctx.item(key="a", status="completed")
        ctx.items([{"key": "b", "status": "skipped", "skip_reason": "old"}, {"key": "c", "status": "completed"}])
        await ctx.flush()
        seen.append(await client.get_job(ctx.job["id"]))
        return Done({"echo": ctx.payload}, billing={"pages": 1})

    seen: list[Job] = []
    job = await client.create_job("work", queue=queue, payload="hello")
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert (done["status"], done["result"], done["billing"]) == ("completed", {"echo": "hello"}, {"pages": 1})
    assert done["counts"] == {"total": 3, "processed": 2, "failed": 0, "skipped": 1}
    (midway,) = seen
    assert (midway["status"], midway["stage"], midway["progress"]) == ("running", "reading", 50)


async def test_plain_code_runs_in_a_thread_and_its_value_is_the_result(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    def handler(ctx: JobContext) -> dict[str, bool]:
        ctx.report(10)
        ctx.flush_from_thread()
        return {"thread": threading.current_thread() is not threading.main_thread()}

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert (done["status"], done["result"]) == ("completed", {"thread": True})


async def test_several_jobs_run_at_a_time(client: AsyncJobtrackClient, queue: str, working: Working) -> None:
    together = asyncio.Barrier(3)

    async def handler(_: JobContext) -> None:
        await together.wait()

    jobs = [(await client.create_job("work", queue=queue))["id"] for _ in range(3)]
    async with working(handler, queues=[queue], concurrency=3):
        states = await client.wait_jobs(jobs, wait=20)
    assert {job["status"] for job in states["jobs"]} == {"completed"}


async def test_an_exception_fails_the_attempt_and_the_next_finds_the_checkpoint(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    seen: list[object] = []

    def handler(ctx: JobContext) -> str:
        seen.append(ctx.checkpoint)
        if ctx.checkpoint is None:
            ctx.save_checkpoint({"done": 7})
            raise Fail("flaky", "not today", retry_after_seconds=0)
        return "resumed"

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert (done["status"], done["attempt"], done["result"]) == ("completed", 2, "resumed")
    assert seen == [None, {"done": 7}]


async def test_the_last_exception_is_the_error_of_the_job(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    async def handler(_: JobContext) -> None:
        raise FileNotFoundError("no such thing")

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert done["status"] == "failed"
    assert done["error"] == {"code": "file_not_found_error", "message": "no such thing"}


@pytest.mark.parametrize(
    ("result", "code"), [({1, 2}, "result_not_json"), (float("nan"), "result_not_json"), ("\x00", "result_refused")]
)
async def test_a_result_that_cannot_be_stored_fails_the_job(
    client: AsyncJobtrackClient, queue: str, result: object, code: str, working: Working, ended: Ended
) -> None:
    async def handler(_: JobContext) -> object:
        return result

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert done["error"] is not None
    assert (done["status"], done["error"]["code"]) == ("failed", code)


async def test_a_type_without_handler_fails_the_job_that_was_claimed_by_id(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    async def handler(_: JobContext) -> None:
        raise AssertionError

    job = await client.create_job("other", queue=queue)
    async with working(handler, job_ids=[job["id"]]):
        done = await ended(job["id"])
    assert done["error"] is not None
    assert (done["status"], done["error"]["code"]) == ("failed", "no_handler")


async def test_a_heartbeat_keeps_the_lease_of_silent_code(
    client: AsyncJobtrackClient, queue: str, recording: Any, working: Working, ended: Ended
) -> None:
    async def handler(_ctx: JobContext) -> str:
        # Five signs of life a third of the lease apart: more than the whole lease without a word.
        for _ in range(5):
            while not (await recording.answered.get()).endswith("/report"):
                pass
        return "kept"

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue], lease_seconds=1):
        done = await ended(job["id"])
    assert (done["status"], done["attempt"]) == ("completed", 1)


async def test_thousands_of_item_updates_travel_in_few_reports(
    client: AsyncJobtrackClient, queue: str, recording: Any, working: Working, ended: Ended
) -> None:
    def handler(ctx: JobContext) -> None:
        for number in range(2500):
            ctx.item(key=f"{number:04}", status="processing")
            ctx.item(key=f"{number:04}", status="completed")

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert done["counts"]["processed"] == 2500
    bodies = [json.loads(request.content) for request in recording.requests if request.url.path.endswith("/report")]
    sizes = [len(body.get("items", [])) for body in bodies]
    assert max(sizes) <= 1000
    assert len(sizes) <= 10


async def test_a_job_of_an_engine_needs_no_lease(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    async def handler(ctx: JobContext) -> object:
        return ctx.job["lease"]["expires_in_seconds"]

    job = await client.create_job("work", queue=queue, engine="cron")
    async with working(handler, job_ids=[job["id"]], lease_seconds=None):
        done = await ended(job["id"])
    assert (done["status"], done["result"]) == ("completed", None)
