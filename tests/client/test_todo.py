"""What `todo` returns, against the running service: a rerun does the failed items and no others."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jobtrack_client import AsyncJobtrackClient, Fail, Job, JobContext, Worker
from tests.client.tracked import LETTERS, both, items_of, statuses_of

Working = Callable[..., contextlib.AbstractAsyncContextManager[Worker]]
Ended = Callable[[str], Awaitable[Job]]


async def rerun(client: AsyncJobtrackClient, job: Job) -> Job:
    return await client.rerun(job["id"], only_failed_items=True)


def todo_of_letters(ctx: JobContext) -> Any:
    return ctx.todo(default=LETTERS)


@both
async def test_a_rerun_does_the_failed_items_and_no_others(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    done: list[str] = []
    reruns: list[bool] = []

    def body(track: Any, value: str) -> None:
        done.append(value)
        with track.guard():
            if value in ("b", "d") and len(done) <= 4:
                raise ValueError("broken")

    def todo(ctx: JobContext) -> Any:
        reruns.append(ctx.is_rerun)
        return todo_of_letters(ctx)

    first = await client.create_job("work", queue=queue)
    async with working(kind(todo, body), queues=[queue]):
        await ended(first["id"])
        second = await rerun(client, first)
        final = await ended(second["id"])
    assert done == [*LETTERS, "b", "d"]
    assert reruns == [False, True]
    assert (final["status"], final["counts"]["total"], final["counts"]["processed"]) == ("completed", 2, 2)
    assert await statuses_of(client, final) == {"b": "completed", "d": "completed"}


@both
async def test_items_that_a_job_is_created_with_are_what_there_is_to_do(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    done: list[str] = []
    job = await client.create_job("work", queue=queue, items=[{"key": "x"}, {"key": "y"}])
    async with working(kind(todo_of_letters, lambda _, value: done.append(value)), queues=[queue]):
        await ended(job["id"])
    assert done == ["x", "y"]


@both
async def test_a_retry_of_a_job_without_items_has_the_default_again(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    done: list[str] = []

    def body(_: Any, value: str) -> None:
        done.append(value)
        if done == ["a", "b"]:
            raise Fail("flaky", "not today", retry_after_seconds=0)

    job = await client.create_job("work", queue=queue)
    async with working(kind(todo_of_letters, body), queues=[queue]):
        final = await ended(job["id"])
    assert (final["attempt"], done) == (2, ["a", "b", "b", "c", "d"])


@both
async def test_a_retry_of_a_job_with_items_does_the_rest_of_them(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    done: list[str] = []

    def body(_: Any, value: str) -> None:
        done.append(value)
        if done == ["x", "y"]:
            raise Fail("flaky", "not today", retry_after_seconds=0)

    job = await client.create_job("work", queue=queue, items=[{"key": key} for key in "xyz"])
    async with working(kind(todo_of_letters, body), queues=[queue]):
        final = await ended(job["id"])
    assert (final["attempt"], done) == (2, ["x", "y", "y", "z"])


@both
async def test_items_of_an_attempt_that_saved_nothing_are_not_taken_for_the_jobs_own(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    done: list[str] = []
    job = await client.create_job("work", queue=queue)
    (held,) = await client.claim(worker="of another language", queues=[queue])
    await client.report(job["id"], held["lease"]["token"], items=[{"key": "a", "status": "processing"}])
    await client.fail(job["id"], held["lease"]["token"], code="flaky", message="not today", retry_after_seconds=0)
    async with working(kind(todo_of_letters, lambda _, value: done.append(value)), queues=[queue]):
        await ended(job["id"])
    assert done == LETTERS


@both
async def test_a_retry_of_a_rerun_does_what_is_left_and_what_ended_the_last_attempt(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    done: list[str] = []

    def body(track: Any, value: str) -> None:
        done.append(value)
        if len(done) <= 4:
            with track.guard():
                raise ValueError("broken")
        if len(done) in (6, 7):
            raise Fail("flaky", "not today", retry_after_seconds=0)

    first = await client.create_job("work", queue=queue)
    async with working(kind(todo_of_letters, body), queues=[queue]):
        await ended(first["id"])
        final = await ended((await rerun(client, first))["id"])
    assert done[4:] == ["a", "b", "b", "b", "c", "d"]
    assert (final["status"], final["attempt"]) == ("completed", 3)
    assert await statuses_of(client, final) == dict.fromkeys(LETTERS, "completed")


@both
async def test_more_items_than_a_claim_brings_are_read_page_by_page(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: Any
) -> None:
    keys = [f"f{n:04}" for n in range(2100)]
    done: list[str] = []

    def fails(track: Any, _: str) -> None:
        with track.guard():
            raise ValueError("broken")

    first = await client.create_job("work", queue=queue)
    async with working(kind(keys, fails), queues=[queue]):
        await ended(first["id"])
    second = await rerun(client, first)
    async with working(kind(lambda ctx: ctx.todo(), lambda _, key: done.append(key)), queues=[queue]):
        final = await ended(second["id"])
    assert done == keys
    assert (final["status"], final["counts"]["processed"]) == ("completed", 2100)


async def test_reading_on_in_the_event_loop_takes_async_for(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    async def handler(ctx: JobContext) -> str:
        ctx.job.pop("items", None)  # as of a claim without them
        with pytest.raises(RuntimeError, match="async for"):
            list(ctx.todo())
        return "not blocked"

    job = await client.create_job("work", queue=queue, items=[{"key": "x"}], max_attempts=1)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert (done["status"], done["result"]) == ("completed", "not blocked")


async def test_without_a_loop_the_todo_is_of_the_first_attempt_too(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    def handler(ctx: JobContext) -> None:
        seen.append(list(ctx.todo(default=LETTERS)))
        ctx.item(key="a", status="completed")
        ctx.item(key="b", status="processing")
        if len(seen) == 1:
            raise Fail("flaky", "not today", retry_after_seconds=0)

    seen: list[list[str]] = []
    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue]):
        final = await ended(job["id"])
    assert (final["attempt"], seen) == (2, [LETTERS, LETTERS])
    assert (await items_of(client, final))["b"]["status"] == "cancelled"
