"""The worker told to stop: by a cancel, by a lost lease, by its own program; against the running service."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from jobtrack_client import AsyncJobtrackClient, Job, JobCancelled, JobContext, LeaseLost, Worker

Working = Callable[..., contextlib.AbstractAsyncContextManager[Worker]]
Ended = Callable[[str], Awaitable[Job]]


async def test_a_cancel_cancels_the_coroutine(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    started, cleaned = asyncio.Event(), asyncio.Event()

    async def handler(_: JobContext) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue], lease_seconds=1):
        await started.wait()
        await client.cancel(job["id"])
        done = await ended(job["id"])
    assert done["status"] == "cancelled"
    assert cleaned.is_set()


async def test_a_cancel_reaches_plain_code(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    raised: list[BaseException] = []

    def handler(ctx: JobContext) -> None:
        loop.call_soon_threadsafe(started.set)
        ctx.cancelled.wait(20)
        try:
            ctx.check_cancelled()
        except JobCancelled as error:
            raised.append(error)
            raise

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue], lease_seconds=1):
        await started.wait()
        await client.cancel(job["id"])
        done = await ended(job["id"])
    assert done["status"] == "cancelled"
    assert len(raised) == 1


async def test_a_lost_lease_stops_the_code_and_nothing_more_is_written(
    client: AsyncJobtrackClient, queue: str, working: Working
) -> None:
    lost: list[BaseException] = []
    taken, stopped = asyncio.Event(), asyncio.Event()
    running = asyncio.get_running_loop().create_future()

    async def handler(ctx: JobContext) -> str:
        running.set_result(ctx.job)
        try:
            # A heartbeat may see the loss before the report does.
            await taken.wait()
            ctx.report(99, message="overwritten")
            await ctx.flush()
        except (LeaseLost, asyncio.CancelledError) as error:
            lost.append(error)
        stopped.set()
        return "overwritten"

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue]) as worker:
        held = await running
        # It takes nothing more, or it might have the job again before the other has.
        worker.stop()
        await client.release(job["id"], held["lease"]["token"])
        (other,) = await client.claim(worker="other", job_ids=[job["id"]])
        after = await client.get_job(other["id"])
        taken.set()
        await stopped.wait()
    assert len(lost) == 1
    assert await client.get_job(job["id"]) == after


async def test_a_stopped_worker_gives_back_what_it_did_not_finish(
    client: AsyncJobtrackClient, queue: str, working: Working
) -> None:
    started = asyncio.Event()

    async def handler(_: JobContext) -> None:
        started.set()
        await asyncio.Event().wait()

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue], grace_seconds=0.1) as worker:
        await started.wait()
        worker.stop()
    given_back = await client.get_job(job["id"])
    assert (given_back["status"], given_back["attempt"]) == ("pending", 0)
    await client.cancel(job["id"])


async def test_a_stopping_worker_lets_handlers_finish(
    client: AsyncJobtrackClient, queue: str, working: Working
) -> None:
    started, finish = asyncio.Event(), asyncio.Event()

    async def handler(_: JobContext) -> str:
        started.set()
        await finish.wait()
        return "finished"

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue]) as worker:
        await started.wait()
        worker.stop()
        finish.set()
    done = await client.get_job(job["id"])
    assert (done["status"], done["result"]) == ("completed", "finished")
