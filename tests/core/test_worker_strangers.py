"""The fence: calls with a stale token, for an unknown job, and from another project."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from app.db import claims
from app.db.claims import Slot
from app.db.engine import Database
from app.domain.errors import (
    LeaseLostError,
    NotFoundError,
)
from app.domain.item import ItemStatus, ItemUpdate
from app.domain.job import ClaimFilter
from app.domain.states import JobState
from app.domain.worker_call import Ended, Reported, WorkerCall
from tests import factories, sql
from tests.core.worker_calls import FULL_REPORT, WAYS, apply, complete, fail, put, release, report, whole
from tests.factories import Made


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("kind", [report, complete, fail, release])
@pytest.mark.parametrize("way", WAYS)
async def test_stale_token_changes_nothing_in_any_state(
    database: Database, project_id: UUID, kind: Any, state: JobState, way: str
) -> None:
    made = await put(database, project_id, state, items=2)
    before = await whole(database, made)
    said: dict[str, Any] = {report: FULL_REPORT, complete: {"result": 1}}.get(kind, {})

    (outcome,) = await WAYS[way](database, kind(made, token=uuid4(), **said))

    assert isinstance(outcome, LeaseLostError)
    assert outcome.job
    assert outcome.job.state is state
    assert await whole(database, made) == before


async def test_superseded_worker_is_told_and_changes_nothing(database: Database, project_id: UUID) -> None:
    made = await put(database, project_id, JobState.RETRYING)
    async with database.transaction() as connection:
        wanted = ClaimFilter(project_id=project_id)
        (taken,) = await claims.claim(connection, wanted, [Slot(uuid4(), "second", 30)])
    before = await whole(database, made)

    outcomes = await apply(database, report(made, **FULL_REPORT), complete(made), fail(made), release(made))

    assert [type(outcome) for outcome in outcomes] == [LeaseLostError] * 4
    assert await whole(database, made) == before
    (outcome,) = await apply(database, complete(Made(project_id, made.id, taken.token)))
    assert outcome.worker == "second"


async def test_unknown_job_and_job_of_another_project_are_not_found_and_leave_nothing(
    database: Database, project_id: UUID
) -> None:
    async with database.transaction() as connection:
        other = await factories.project(connection)
    made = await put(database, project_id)
    foreign = Made(other, made.id, made.token)
    before = await whole(database, made)

    unknown = Made(project_id, uuid4(), uuid4())
    outcomes = await apply(database, report(unknown), complete(foreign, result=1), report(foreign, **FULL_REPORT))

    assert [type(outcome) for outcome in outcomes] == [NotFoundError] * 3
    assert await whole(database, made) == before
    assert not any(await whole_of_foreign(database, foreign))


async def whole_of_foreign(database: Database, made: Made) -> list[int]:
    found = []
    async with database.transaction() as connection:
        for table in ("items", "events", "job_logs", "checkpoints", "results", "runs"):
            statement = f"SELECT count(*) FROM {table} WHERE project_id = :project_id AND job_id = :job_id"
            of_it = {"project_id": made.project_id, "job_id": made.id}
            found.append(await sql.fetch_value(connection, statement, **of_it))
    return found


@pytest.mark.parametrize("first", ["owner", "stranger"])
async def test_a_stranger_with_the_same_job_in_one_batch_neither_writes_nor_disturbs(
    database: Database, project_id: UUID, first: str
) -> None:
    """Job ids are no secret; the stranger even guessed the token here."""
    async with database.transaction() as connection:
        other = await factories.project(connection)
    made = await put(database, project_id)
    foreign = Made(other, made.id, made.token)
    stranger = {"items": (ItemUpdate(key="evil", status=ItemStatus.FAILED),), "stage": "evil"}

    def ordered(mine: WorkerCall, theirs: WorkerCall) -> list[WorkerCall]:
        return [mine, theirs] if first == "owner" else [theirs, mine]

    reported = await apply(database, *ordered(report(made, **FULL_REPORT), report(foreign, **stranger)))
    ended = await apply(database, *ordered(complete(made, result=1), complete(foreign, result=2)))

    mine, theirs = (0, 1) if first == "owner" else (1, 0)
    assert isinstance(reported[mine], Reported)
    assert isinstance(reported[theirs], NotFoundError)
    assert isinstance(ended[theirs], NotFoundError)
    assert isinstance(ended[mine], Ended)
    job = ended[mine].job
    assert (job.state, job.stage, job.counts.failed) == (JobState.COMPLETED, "chunking", 0)
    assert not any(await whole_of_foreign(database, foreign))
