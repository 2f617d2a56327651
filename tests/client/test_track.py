"""Loops over a job's items against the running service: what becomes of each item."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from jobtrack_client import AsyncJobtrackClient, Fail, Job, JobContext, Worker
from tests.client.tracked import LETTERS, both, in_thread, items_of, statuses_of

Working = Callable[..., contextlib.AbstractAsyncContextManager[Worker]]
Ended = Callable[[str], Awaitable[Job]]


@both
async def test_an_item_is_in_work_in_the_body_and_completed_after_it(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    def in_work(ctx: JobContext) -> None:
        seen.append({key: item["status"] for key, item in ctx._buffer._items.items()})

    seen: list[dict[str, str]] = []
    contexts: list[JobContext] = []

    def values(ctx: JobContext) -> list[str]:
        contexts.append(ctx)
        return LETTERS

    job = await client.create_job("work", queue=queue)
    async with working(kind(values, lambda *_: in_work(contexts[0])), queues=[queue], flush_seconds=60):
        done = await ended(job["id"])
    assert [list(statuses.values())[-1] for statuses in seen] == ["processing"] * 4
    assert (done["status"], done["counts"]["total"], done["counts"]["processed"]) == ("completed", 4, 4)
    assert await statuses_of(client, done) == dict.fromkeys(LETTERS, "completed")


@both
async def test_the_total_is_known_before_the_items(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    def stop(*_: Any) -> None:
        raise Fail("enough", "of that", retryable=False)

    for values, options, total in ((LETTERS, {}, 4), (iter(LETTERS), {"total": 9}, 9), (iter(LETTERS), {}, 4)):
        job = await client.create_job("work", queue=queue)
        async with working(kind(values, stop, **options), queues=[queue]):
            done = await ended(job["id"])
        assert done["counts"] == {"total": total, "processed": 0, "failed": 1, "skipped": 0}


@both
async def test_the_last_attempts_exception_is_the_code_of_its_item(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    def body(_: Any, value: str) -> None:
        if value == "c":
            raise Fail("torn", "c is torn")

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(kind(LETTERS, body), queues=[queue]):
        done = await ended(job["id"])
    items = await items_of(client, done)
    assert (done["status"], done["error"]) == ("failed", {"code": "torn", "message": "c is torn"})
    assert {key: item["status"] for key, item in items.items()} == {"a": "completed", "b": "completed", "c": "failed"}
    assert (items["c"]["error_code"], items["c"]["error_message"]) == ("torn", "c is torn")


@both
async def test_a_guarded_exception_fails_its_item_alone(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    def body(track: Any, value: str) -> None:
        with track.guard():
            if value == "b":
                raise ValueError("no b")
            if value == "c":
                raise Fail("torn", "c is torn")

    job = await client.create_job("work", queue=queue)
    async with working(kind(LETTERS, body), queues=[queue]):
        done = await ended(job["id"])
    items = await items_of(client, done)
    assert (done["status"], done["attempt"]) == ("completed_with_failures", 1)
    assert [item["status"] for item in items.values()] == ["completed", "failed", "failed", "completed"]
    assert [items[key]["error_code"] for key in ("b", "c")] == ["value_error", "torn"]


async def test_a_guard_lets_other_exceptions_and_stops_through(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    def body(track: Any, _: str) -> None:
        with track.guard(ValueError):
            raise OSError("the disk is gone")

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(in_thread(LETTERS, body), queues=[queue]):
        done = await ended(job["id"])
    assert done["error"] == {"code": "oserror", "message": "the disk is gone"}

    def handler(ctx: JobContext) -> None:
        track = ctx.track(LETTERS)
        for _ in track:
            with track.guard():
                begun.set()
                assert ctx.cancelled.wait(20)
                ctx.check_cancelled()

    begun = threading.Event()
    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue], lease_seconds=1):
        assert await asyncio.to_thread(begun.wait, 20)
        await client.cancel(job["id"])
        done = await ended(job["id"])
    assert done["status"] == "cancelled"
    assert await statuses_of(client, done) == {"a": "cancelled"}


async def test_what_the_body_says_of_its_item_stands(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    def handler(ctx: JobContext) -> None:
        track = ctx.track(LETTERS)
        for letter in track:
            if letter == "a":
                track.item(status="skipped", skip_reason="unchanged")
            if letter == "b":
                ctx.item(key="b", status="failed", error_code="torn")
            if letter == "c":
                track.item(result={"pages": 3})
        with pytest.raises(RuntimeError):
            track.item(status="completed")

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    items = await items_of(client, done)
    assert [item["status"] for item in items.values()] == ["skipped", "failed", "completed", "completed"]
    assert items["c"]["result"] == {"pages": 3}


@both
async def test_a_cancel_is_noticed_between_two_items(
    client: AsyncJobtrackClient, queue: str, working: Working, kind: Any
) -> None:
    contexts: list[JobContext] = []

    def values(ctx: JobContext) -> Iterator[str]:
        contexts.append(ctx)
        yield from LETTERS

    def body(_: Any, value: str) -> None:
        done.append(value)
        contexts[0]._stop.request("cancel", "Cancellation was requested")

    done: list[str] = []
    job = await client.create_job("work", queue=queue)
    async with working(kind(values, body), queues=[queue]) as worker:
        async with asyncio.timeout(20):
            while not done:
                await asyncio.sleep(0)
        worker.stop()
    assert done == ["a"]
    assert (await client.get_job(job["id"]))["status"] == "pending"
    assert await statuses_of(client, job) == {"a": "completed"}


async def test_a_return_in_the_loop_completes_its_item(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    def handler(ctx: JobContext) -> str:
        for letter in ctx.track(LETTERS):
            if letter == "b":
                return letter
        return ""

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert (done["status"], done["result"]) == ("completed", "b")
    assert await statuses_of(client, done) == {"a": "completed", "b": "completed"}
