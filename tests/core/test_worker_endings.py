"""Calls that end a job, and calls to a job that has ended."""

from uuid import UUID

import pytest

from app.db.engine import Database
from app.domain.errors import (
    AlreadyTerminalError,
    InvalidTransitionError,
)
from app.domain.item import ItemStatus, ItemUpdate
from app.domain.states import TERMINAL, JobState
from tests.core.worker_calls import FULL_REPORT, apply, complete, fail, put, release, report, whole


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_ended_job_answers_the_latest_token_and_never_changes(
    database: Database, project_id: UUID, state: JobState
) -> None:
    made = await put(database, project_id, state, items=2)
    before = await whole(database, made)

    outcomes = await apply(
        database, report(made), report(made, **FULL_REPORT), complete(made, result=1), fail(made), release(made)
    )

    assert [type(outcome) for outcome in outcomes] == [AlreadyTerminalError] * 5
    assert await whole(database, made) == before


async def test_release_of_a_job_whose_lease_ran_out_is_no_step_of_the_lifecycle(
    database: Database, project_id: UUID
) -> None:
    made = await put(database, project_id, JobState.RETRYING)
    before = await whole(database, made)
    (outcome,) = await apply(database, release(made))
    assert isinstance(outcome, InvalidTransitionError)
    assert await whole(database, made) == before


async def test_failing_item_makes_it_completed_with_failures(database: Database, project_id: UUID) -> None:
    made = await put(database, project_id)
    outcomes = await apply(
        database, report(made, items=(ItemUpdate(key="a", status=ItemStatus.FAILED),)), complete(made)
    )
    assert outcomes[1].job.state is JobState.COMPLETED_WITH_FAILURES
