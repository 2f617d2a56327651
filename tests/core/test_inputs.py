"""What is left of inputs: nothing of uploads that failed, nothing of credentials once their job has ended."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.core import retention
from app.core.inputs import CHUNK_BYTES, Inputs
from app.core.retention import Retention
from app.domain.errors import ForbiddenError, InputGoneError, TooLargeError, UnavailableError
from app.domain.ids import new_id
from app.domain.input import StoredInput
from app.domain.job import NewJob
from app.runtime import Runtime
from app.web.deps import Services
from tests import sql
from tests.calls import PROJECT, count, create, finish


async def pieces(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size


async def content(inputs: Inputs, stored: StoredInput) -> bytes:
    return b"".join([piece async for piece in inputs.read(PROJECT, stored, 0, stored.size_bytes)])


async def test_failed_upload_leaves_no_chunk(runtime: Runtime, core: Services) -> None:
    with pytest.raises(TooLargeError):
        await core.inputs.receive(
            PROJECT, pieces(CHUNK_BYTES, CHUNK_BYTES, 1), content_type="a/b", max_bytes=2 * CHUNK_BYTES
        )
    assert await count(runtime.database, "input_chunks") == 0


async def test_input_can_come_with_the_job(core: Services) -> None:
    stored = await core.inputs.receive(PROJECT, pieces(3, CHUNK_BYTES, 5), content_type="a/b")
    job = (await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t", input=stored))).job
    found = await core.inputs.open(PROJECT, job.id)
    assert found == stored
    assert await content(core.inputs, found) == b"x" * (CHUNK_BYTES + 8)


async def test_credentials_are_unreadable_once_the_job_has_ended_and_dropped_soon(
    runtime: Runtime,
    core: Services,
) -> None:
    stored = await core.inputs.receive(PROJECT, pieces(9), content_type="a/b", sensitive=True)
    job = (await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t", input=stored))).job
    with pytest.raises(ForbiddenError):
        await core.inputs.open(PROJECT, job.id)
    await core.jobs.cancel(PROJECT, job.id, by=None)
    with pytest.raises(InputGoneError):
        await core.inputs.open(PROJECT, job.id)
    with pytest.raises(InputGoneError):
        await core.jobs.rerun(PROJECT, job.id)
    assert await count(runtime.database, "input_chunks") == 1
    await finish(Retention(runtime.database, lambda _: None))
    assert await count(runtime.database, "input_chunks") == 0
    with pytest.raises(InputGoneError):
        await core.inputs.open(PROJECT, job.id)


async def test_abandoned_uploads_go_and_used_ones_stay(runtime: Runtime, core: Services) -> None:
    used = await core.inputs.receive(PROJECT, pieces(9), content_type="a/b")
    job = (await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t", input=used))).job
    await core.inputs.receive(PROJECT, pieces(CHUNK_BYTES, 9), content_type="a/b")
    async with runtime.database.transaction() as connection:
        await sql.execute(
            connection, "UPDATE input_chunks SET created_at = now() - CAST(:age AS interval)", age=timedelta(days=1)
        )
    await core.inputs.receive(PROJECT, pieces(9), content_type="a/b")
    await finish(Retention(runtime.database, lambda _: None))
    assert await count(runtime.database, "input_chunks") == 2
    assert await content(core.inputs, await core.inputs.open(PROJECT, job.id)) == b"x" * 9


async def test_input_that_may_have_been_stored_is_kept(
    runtime: Runtime,
    core: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = (await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"))).job
    stored = await core.inputs.receive(PROJECT, pieces(5), content_type="a/b")
    write = runtime.database.write

    async def commits_and_loses_the_answer(function: Any, *arguments: Any) -> Any:
        await write(function, *arguments)
        raise UnavailableError("The database did not confirm the change; it may have been made.")

    monkeypatch.setattr(runtime.database, "write", commits_and_loses_the_answer)
    with pytest.raises(UnavailableError):
        await core.inputs.put(PROJECT, job.id, stored)
    monkeypatch.undo()
    assert await content(core.inputs, await core.inputs.open(PROJECT, job.id)) == b"xxxxx"


async def put(core: Services, job_id: UUID, size: int) -> None:
    stored = await core.inputs.receive(PROJECT, pieces(size), content_type="a/b")
    await core.inputs.put(PROJECT, job_id, stored)


async def test_what_was_replaced_or_deleted_goes_with_the_next_looks(runtime: Runtime, core: Services) -> None:
    """Within a minute, and not with the look for abandoned uploads: these chunks are new."""
    replaced, deleted = await create(core), await create(core)
    for size in (CHUNK_BYTES + 1, 7, 9):
        await put(core, replaced.id, size)
    await put(core, deleted.id, 5)
    await core.jobs.cancel(PROJECT, deleted.id, by=None)
    await core.jobs.delete(PROJECT, deleted.id)
    assert await count(runtime.database, "input_chunks") == 5
    steps = [Retention(runtime.database, lambda _: None) for _ in range(2)]
    await asyncio.gather(*map(finish, steps))
    assert await count(runtime.database, "input_chunks") == 1
    assert await content(core.inputs, await core.inputs.open(PROJECT, replaced.id)) == b"x" * 9
    assert retention.LOOK_SECONDS + retention.JITTER_SECONDS < 60


async def test_upload_that_another_job_has_too_stays(runtime: Runtime, core: Services) -> None:
    first = await create(core)
    await put(core, first.id, 9)
    await core.jobs.cancel(PROJECT, first.id, by=None)
    again = (await core.jobs.rerun(PROJECT, first.id)).job
    await core.jobs.delete(PROJECT, first.id)
    await finish(Retention(runtime.database, lambda _: None))
    assert await content(core.inputs, await core.inputs.open(PROJECT, again.id)) == b"x" * 9
    await put(core, again.id, 3)
    await finish(Retention(runtime.database, lambda _: None))
    assert await count(runtime.database, "input_chunks") == 1
