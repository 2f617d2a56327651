"""Loops over a job's items against the running service: where a next attempt goes on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from jobtrack_client import AsyncJobtrackClient, Fail, Item, Job, JobContext, Worker
from tests.client.tracked import LETTERS, both, statuses_of

Working = Callable[..., contextlib.AbstractAsyncContextManager[Worker]]
Ended = Callable[[str], Awaitable[Job]]


@both
async def test_an_exception_fails_its_item_and_the_retry_goes_on_with_it(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    done: list[str] = []
    between: list[Item] = []

    def body(_: Any, value: str) -> None:
        done.append(value)
        if done == ["a", "b", "c"]:
            raise FileNotFoundError("c is not there")

    job = await client.create_job("work", queue=queue, retry={"delay_seconds": 0.1})
    events = client.stream_job(job["id"])
    async with working(kind(LETTERS, body), queues=[queue]):
        async for event in events:
            if event.name == "job.retrying":
                between = [item async for item in client.iter_items(job["id"]) if item["key"] == "c"]
        final = await ended(job["id"])
    assert (final["status"], final["attempt"]) == ("completed", 2)
    assert done == ["a", "b", "c", "c", "d"]
    assert [(item["error_code"], item["error_message"]) for item in between if item["status"] == "failed"] in (
        [("file_not_found_error", "c is not there")],
        [],  # the second attempt has been as fast as the event
    )
    assert await statuses_of(client, job) == dict.fromkeys(LETTERS, "completed")


async def test_an_item_that_was_given_back_is_queued_and_done_by_the_next_attempt(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    async def handler(ctx: JobContext) -> None:
        async for letter in ctx.track(LETTERS):
            seen.append(letter)
            if seen == ["a", "b"]:
                held.set()
                await asyncio.Event().wait()

    seen: list[str] = []
    held = asyncio.Event()
    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue], grace_seconds=0.1):
        await held.wait()
    assert await statuses_of(client, job) == {"a": "completed", "b": "queued"}
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert seen == ["a", "b", "b", "c", "d"]
    assert await statuses_of(client, done) == dict.fromkeys(LETTERS, "completed")


@both
async def test_items_in_another_order_are_not_done_again(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    orders = [LETTERS, ["0", "d", "c", "b", "a"], ["0", "d", "c", "b", "a", "e"]]
    done: list[str] = []

    def body(track: Any, value: str) -> None:
        with track.guard():
            done.append(value)
            if value == "b":
                raise ValueError("no b")
        if value == "c" and done.count("c") < 3:
            raise OSError("away")

    job = await client.create_job("work", queue=queue, retry={"delay_seconds": 0.1})
    async with working(kind(lambda ctx: orders[ctx.job["attempt"] - 1], body), queues=[queue]):
        final = await ended(job["id"])
    assert done == ["a", "b", "c", "0", "d", "c", "c", "e"]
    assert final["status"] == "completed_with_failures"
    assert (await statuses_of(client, final))["b"] == "failed"


async def test_a_handlers_own_checkpoint_is_kept_beside_that_of_its_loops(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    def handler(ctx: JobContext) -> None:
        seen.append(ctx.checkpoint)
        for letter in ctx.track(LETTERS):
            done.append(letter)
            if letter == "b" and ctx.job["attempt"] == 1:
                ctx.save_checkpoint({"mine": 7})
                raise Fail("flaky", "not today", retry_after_seconds=0)
            if letter == "c" and ctx.job["attempt"] == 2:
                raise Fail("flaky", "not today", retry_after_seconds=0)

    seen: list[object] = []
    done: list[str] = []
    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue]):
        final = await ended(job["id"])
    assert (final["status"], seen) == ("completed", [None, {"mine": 7}, {"mine": 7}])
    assert done == ["a", "b", "b", "c", "c", "d"]


async def test_items_of_several_loops_stay_in_work_until_the_last(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    async def numbered() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    async def handler(ctx: JobContext) -> None:
        async for number in ctx.track(numbered(), key=lambda number: f"n{number}", last=False):
            steps.append(("read", number))  # noqa: PERF401  the loop is the subject
        await ctx.flush()
        seen.append(await statuses_of(client, job))
        async for number in ctx.track(numbered(), key=lambda number: f"n{number}"):
            steps.append(("write", number))
            if number == 1 and ctx.job["attempt"] == 1:
                raise Fail("flaky", "not today", retry_after_seconds=0)

    steps: list[tuple[str, int]] = []
    seen: list[dict[str, str]] = []
    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue]):
        final = await ended(job["id"])
    assert final["status"] == "completed"
    assert seen[0] == dict.fromkeys(("n0", "n1", "n2"), "processing")
    assert steps == [("read", 0), ("read", 1), ("read", 2), ("write", 0), ("write", 1), ("write", 1), ("write", 2)]


@both
async def test_without_the_right_to_read_items_in_another_order_are_done_again(
    client: AsyncJobtrackClient, service: Any, queue: str, ended: Ended, kind: Any
) -> None:
    done: list[str] = []

    def body(_: Any, value: str) -> None:
        done.append(value)
        if done == ["a", "b"]:
            raise OSError("away")

    key = await client.create_key("worker", scopes=["work"])
    job = await client.create_job("work", queue=queue, retry={"delay_seconds": 0.1})
    async with AsyncJobtrackClient(service.url, key["key"]) as own:
        handler = kind(lambda ctx: LETTERS if ctx.job["attempt"] == 1 else LETTERS[::-1], body)
        worker = Worker(own, types={"work": handler}, queues=[queue], claim_wait_seconds=5)
        running = asyncio.create_task(worker.run())
        final = await ended(job["id"])
        worker.stop()
        await running
    assert (final["status"], done) == ("completed", ["a", "b", "d", "c", "b", "a"])
    lines = [line["message"] for line in (await client.read_logs(job["id"]))["logs"]]
    assert any("another order and are all done again" in line for line in lines)
