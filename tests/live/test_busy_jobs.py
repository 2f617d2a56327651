"""A job that somebody else holds locked keeps nobody waiting but its own caller."""

import asyncio

import pytest

from app.domain.errors import UnavailableError
from app.domain.job import Job
from app.domain.worker_call import Report, Reported
from app.live import group_entries
from app.runtime import Runtime
from app.web.deps import Services
from tests import sql
from tests.calls import PROJECT, claim, create, held

LOCK = "SELECT FROM jobs WHERE id = :id FOR UPDATE"


async def test_report_on_a_locked_job_waits_and_the_others_do_not(
    runtime: Runtime,
    core: Services,
) -> None:
    for _ in range(3):
        await create(core)
    busy, *free = [await claim(core) for _ in range(3)]
    async with runtime.database.transaction() as holder:
        await sql.execute(holder, LOCK, id=busy.job.id)
        late = [asyncio.create_task(core.leases.submit(Report(**held(busy), progress=n))) for n in (10, 20)]
        answers = await asyncio.gather(*(core.leases.submit(Report(**held(one), progress=50)) for one in free))
        assert all(isinstance(answer, Reported) for answer in answers)
        assert not any(task.done() for task in late)
    await asyncio.gather(*late)
    job = await core.jobs.get(PROJECT, busy.job.id)
    assert isinstance(job, Job)
    assert job.progress == 20


async def test_job_that_stays_locked_is_given_up(
    runtime: Runtime,
    core: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(group_entries, "LONGEST_DEFERRAL_SECONDS", 0.05)
    await create(core)
    busy = await claim(core)
    async with runtime.database.transaction() as holder:
        await sql.execute(holder, LOCK, id=busy.job.id)
        with pytest.raises(UnavailableError):
            await core.leases.submit(Report(**held(busy), progress=10))
    assert isinstance(await core.leases.submit(Report(**held(busy), progress=10)), Reported)
