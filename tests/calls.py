"""What tests of the core ask of it again and again, in a project of their own."""

from typing import Any

from app.core.retention import Retention
from app.db.engine import Database
from app.domain.ids import new_id
from app.domain.job import ClaimedJob, ClaimFilter, Job, NewJob
from app.domain.worker_call import Complete, Ended
from app.web.deps import Services
from tests import sql

PROJECT = new_id()


async def create(core: Services, **fields: object) -> Job:
    return (await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t", **fields))).job  # type: ignore[arg-type]


async def claim(core: Services, *, lease_seconds: int = 30, wait_seconds: float = 5) -> ClaimedJob:
    taken = await core.claims.claim(
        ClaimFilter(project_id=PROJECT), worker="w", max_jobs=1, lease_seconds=lease_seconds, wait_seconds=wait_seconds
    )
    (claimed,) = taken.value
    return claimed


def held(claimed: ClaimedJob) -> dict[str, Any]:
    return {"project_id": PROJECT, "job_id": claimed.job.id, "token": claimed.lease.token}


async def completed(core: Services, **fields: object) -> Job:
    await create(core, **fields)
    ended = await core.leases.submit(Complete(**held(await claim(core))))
    assert isinstance(ended, Ended)
    return ended.job


async def count(database: Database, table: str) -> int:
    async def work(connection: Any) -> int:
        return int(await sql.fetch_value(connection, f"SELECT count(*) FROM {table}"))

    return await database.read(work)


async def finish(steps: Retention) -> int:
    done = 1
    while await steps.step():
        done += 1
    return done
