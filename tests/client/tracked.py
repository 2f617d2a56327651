"""Handlers of one loop, in a thread and in the event loop, and the items that they leave behind."""

from collections.abc import Callable
from typing import Any

import pytest

from jobtrack_client import AsyncJobtrackClient, Item, Job, JobContext

Body = Callable[[Any, str], None]
LETTERS = ["a", "b", "c", "d"]


def in_thread(values: Any, body: Body, **options: Any) -> Callable[[JobContext], Any]:
    def handler(ctx: JobContext) -> None:
        track = ctx.track(values(ctx) if callable(values) else values, **options)
        for value in track:
            body(track, value)

    return handler


def in_loop(values: Any, body: Body, **options: Any) -> Callable[[JobContext], Any]:
    async def handler(ctx: JobContext) -> None:
        track = ctx.track(values(ctx) if callable(values) else values, **options)
        async for value in track:
            body(track, value)

    return handler


both = pytest.mark.parametrize("kind", [in_thread, in_loop], ids=["thread", "loop"])


async def items_of(client: AsyncJobtrackClient, job: Job) -> dict[str, Item]:
    return {item["key"]: item async for item in client.iter_items(job["id"])}


async def statuses_of(client: AsyncJobtrackClient, job: Job) -> dict[str, str]:
    return {key: item["status"] for key, item in (await items_of(client, job)).items()}
