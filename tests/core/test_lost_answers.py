"""A statement that committed itself and whose answer was lost: its callers hear so, and nothing is done twice."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.db.engine import Database
from app.db.failures import UNCONFIRMED
from app.domain.errors import UnavailableError
from app.domain.ids import new_id
from app.domain.job import ClaimedJob, ClaimFilter, NewJob
from app.domain.states import JobState
from app.domain.worker_call import Complete, Fail, Release, Report, WorkerCall
from app.runtime import Runtime
from app.web.deps import Services
from tests import sql
from tests.calls import PROJECT


class Losing:
    """Does what it is to do, and loses the answer."""

    def __init__(self, database: Database) -> None:
        self._write = database.write_at_once
        self.lost = 0

    async def __call__(self, function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        await self._write(function, *args, **kwargs)
        self.lost += 1
        raise UnavailableError(UNCONFIRMED)


@pytest.fixture
def losing(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Losing]:
    def lose() -> Losing:
        losing = Losing(runtime.database)
        monkeypatch.setattr(runtime.database, "write_at_once", losing)
        return losing

    return lose


async def held(core: Services) -> ClaimedJob:
    await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"))
    done = await core.claims.claim(
        ClaimFilter(project_id=PROJECT), worker="w", max_jobs=1, lease_seconds=300, wait_seconds=0
    )
    return done.value[0]


async def rows(runtime: Runtime) -> list[tuple[Any, ...]]:
    async with runtime.database.connection() as connection:
        return [
            (row.state, row.attempt, row.told)
            for row in await sql.fetch(
                connection,
                """SELECT j.state, j.attempt, (SELECT count(*) FROM events e WHERE e.job_id = j.id) AS told
                   FROM jobs j WHERE j.project_id = :project_id""",
                project_id=PROJECT,
            )
        ]


def call(kind: type[WorkerCall], job: ClaimedJob, **said: Any) -> WorkerCall:
    return kind(project_id=PROJECT, job_id=job.job.id, token=job.lease.token, **said)


CALLS: dict[str, tuple[Callable[[ClaimedJob], WorkerCall], tuple[JobState, int, int]]] = {
    "heartbeat": (lambda job: call(Report, job), (JobState.RUNNING, 1, 3)),
    "report": (lambda job: call(Report, job, progress=10.0), (JobState.RUNNING, 1, 3)),
    "complete": (lambda job: call(Complete, job), (JobState.COMPLETED, 1, 3)),
    "fail": (lambda job: call(Fail, job, code="c", message="m"), (JobState.RETRYING, 1, 3)),
    "release": (lambda job: call(Release, job), (JobState.PENDING, 0, 3)),
}


@pytest.mark.parametrize("kind", CALLS)
async def test_a_call(runtime: Runtime, core: Services, losing: Callable[[], Losing], kind: str) -> None:
    make, expected = CALLS[kind]
    job = await held(core)
    lost = losing()
    with pytest.raises(UnavailableError, match="may have been made"):
        await core.leases.submit(make(job))
    assert lost.lost == 1
    assert await rows(runtime) == [expected]


async def test_a_claim(runtime: Runtime, core: Services, losing: Callable[[], Losing]) -> None:
    await core.jobs.create_many(PROJECT, [NewJob(id=new_id(), type="t") for _ in range(2)])
    lost = losing()
    with pytest.raises(UnavailableError, match="may have been made"):
        await core.claims.claim(
            ClaimFilter(project_id=PROJECT), worker="w", max_jobs=1, lease_seconds=300, wait_seconds=0
        )
    assert lost.lost == 1
    assert sorted(await rows(runtime)) == [("dispatched", 1, 2), ("pending", 0, 1)]


async def test_a_creation(runtime: Runtime, core: Services, losing: Callable[[], Losing]) -> None:
    await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"))
    lost = losing()
    with pytest.raises(UnavailableError, match="may have been made"):
        await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"))
    assert lost.lost == 1
    assert await rows(runtime) == [("pending", 0, 1)] * 2, "the first made the queue"
