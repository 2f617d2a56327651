"""What open waits of many ids hold in memory: a version of each id, and the jobs themselves once, and not whole."""

import asyncio
import gc
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import pytest

from app.core.waits import EndedBy
from app.domain.ids import new_id
from app.domain.job import NewJob
from app.runtime import Runtime
from app.web.deps import Services
from tests.calls import PROJECT

IDS = 1_000
KB = 1_000
MOST_A_WAIT = 60 * KB
MOST_A_JOB = 600
"""What a job costs that is watched at all, however many watch it."""
A_TASK = 5 * KB
"""A task that waits, with its frames."""
OTHERS = 500 * KB
"""Buffers of the driver, above all."""
AT_ONCE = 200


@contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def size() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def make_jobs(core: Services, count: int) -> list[UUID]:
    job_ids = [new_id() for _ in range(count)]
    for start in range(0, count, IDS):
        await core.jobs.create_many(PROJECT, [NewJob(id=id_, type="t") for id_ in job_ids[start : start + IDS]])
    return job_ids


async def open_waits(runtime: Runtime, core: Services, waits: Sequence[Sequence[UUID]]) -> list[asyncio.Task[EndedBy]]:
    async def wait(ids: Sequence[UUID]) -> EndedBy:
        # Ids of their own, as a request's are, which nothing else holds.
        return (await core.waits.wait(PROJECT, [UUID(int=id_.int) for id_ in ids], seconds=-1)).ended_by

    opened: list[asyncio.Task[EndedBy]] = []
    resting = runtime.waiters.resting()
    for start in range(0, len(waits), AT_ONCE):
        opened += [asyncio.create_task(wait(ids)) for ids in waits[start : start + AT_ONCE]]
        async with asyncio.timeout(60):
            while runtime.waiters.resting() < resting + len(opened):
                await asyncio.sleep(0.01)
    return opened


async def end(runtime: Runtime, opened: Sequence[asyncio.Task[EndedBy]]) -> None:
    runtime.drain()
    assert set(await asyncio.gather(*opened)) == {EndedBy.SHUTDOWN}
    assert not list(runtime.waiters.seen_versions())


async def test_wait_of_a_thousand_ids_holds_sixty_kilobytes(runtime: Runtime, core: Services) -> None:
    job_ids = await make_jobs(core, IDS)
    with traced():
        first = await open_waits(runtime, core, [job_ids])
        with_jobs = size()
        more = await open_waits(runtime, core, [job_ids] * 20)
        a_wait = (size() - with_jobs) / len(more)
    assert a_wait <= MOST_A_WAIT, a_wait
    assert with_jobs <= IDS * MOST_A_JOB + MOST_A_WAIT + OTHERS, with_jobs
    await end(runtime, [*first, *more])


@pytest.mark.long
async def test_twenty_thousand_waits_of_many_ids_hold_what_their_ids_do(runtime: Runtime, core: Services) -> None:
    job_ids = await make_jobs(core, 20_000)
    count = len(job_ids)
    # Ten ids each, and ten waits for each job: as many ids as a process watches.
    waits = [[job_ids[(n + 97 * k) % count] for k in range(10)] for n in range(20_000)]
    with traced():
        opened = await open_waits(runtime, core, waits)
        held = size()
    assert held <= 20_000 * A_TASK + 200_000 * MOST_A_WAIT / IDS + count * MOST_A_JOB + OTHERS, held
    for task in opened:
        task.cancel()
    await asyncio.gather(*opened, return_exceptions=True)
    assert not list(runtime.waiters.seen_versions())
