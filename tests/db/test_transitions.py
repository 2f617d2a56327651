"""What a transition does beside changing the state: attempts, back-off, tokens, deadlines, what stays and what goes."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.db import jobs, sweeps, tables, transitions
from app.db.connection import Connection
from app.db.transitions import Move, Moved
from app.domain.job import CANCEL_GRACE_SECONDS
from app.domain.states import LIVE, TERMINAL, JobEvent, JobState
from tests import factories, sql
from tests.factories import HOUR, Made

FENCED = (JobEvent.COMPLETE, JobEvent.FAIL, JobEvent.RELEASE)


async def move(connection: Connection, event: JobEvent, made: Made, **said: Any) -> Moved | None:
    await transitions.lock_in_order(connection, [made.key])
    said = {"token": made.token} | said
    moved = await transitions.move(connection, event, [Move(project_id=made.project_id, job_id=made.id, **said)])
    return moved[0] if moved else None


async def left_of_lease(connection: Connection, made: Made) -> float | None:
    statement = "SELECT extract(epoch FROM lease_ends_at - statement_timestamp()) FROM runs WHERE job_id = :id"
    left = await sql.fetch_value(connection, statement, id=made.id)
    return None if left is None else float(left)


@pytest.fixture
async def project_id(connection: Connection) -> UUID:
    return await factories.project(connection)


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("event", FENCED)
async def test_stale_token_changes_nothing(
    connection: Connection, project_id: UUID, event: JobEvent, state: JobState
) -> None:
    made = await factories.job(connection, project_id, state=state, items=2)
    before = await factories.whole(connection, made)

    for token in (uuid4(), None):
        assert await move(connection, event, made, token=token, error_code="x", final_call=b"x") is None

    assert await factories.whole(connection, made) == before


@pytest.mark.parametrize("event", FENCED)
async def test_spent_token_changes_nothing(connection: Connection, project_id: UUID, event: JobEvent) -> None:
    for spending in (JobEvent.FAIL, JobEvent.RELEASE):
        made = await factories.job(connection, project_id, state=JobState.RUNNING)
        assert await move(connection, spending, made)
        before = await factories.whole(connection, made)

        assert await move(connection, event, made) is None

        assert await factories.whole(connection, made) == before


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_terminal_job_never_changes(connection: Connection, project_id: UUID, state: JobState) -> None:
    made = await factories.job(
        connection, project_id, state=state, items=1, expires_at=factories.in_seconds(-HOUR), final_call=b"first"
    )
    before = await factories.whole(connection, made)

    for event in transitions.MOVES:
        assert await move(connection, event, made, final_call=b"second", cancelled_by="a key") is None

    assert await factories.whole(connection, made) == before


@pytest.mark.parametrize("ending", [JobEvent.COMPLETE, JobEvent.FAIL, JobEvent.RELEASE])
async def test_cancel_beats_every_ending(connection: Connection, project_id: UUID, ending: JobEvent) -> None:
    made = await factories.job(connection, project_id, state=JobState.RUNNING)
    cancelling = await move(connection, JobEvent.CANCEL, made, cancelled_by="a key")
    assert cancelling
    assert cancelling.target is JobState.CANCELLING

    ended = await move(connection, ending, made, error_code="boom", error_message="it broke")

    assert ended
    row = await factories.row(connection, made)
    assert (row.state, row.cancelled_by, row.error_code) == ("cancelled", "a key", None)
    assert row.cancelled_at < row.completed_at


async def test_cancelling_twice_changes_nothing(connection: Connection, project_id: UUID) -> None:
    made = await factories.job(connection, project_id, state=JobState.RUNNING)
    await move(connection, JobEvent.CANCEL, made, cancelled_by="the first")
    before = await factories.whole(connection, made)

    assert await move(connection, JobEvent.CANCEL, made, cancelled_by="the second") is None

    assert await factories.whole(connection, made) == before


async def test_cancel_gives_a_job_without_lease_end_some_time_and_leaves_a_lease_alone(
    connection: Connection, project_id: UUID
) -> None:
    endless = await factories.job(
        connection, project_id, state=JobState.RUNNING, engine="celery", lease_left_seconds=None, lease_seconds=None
    )
    leased = await factories.job(connection, project_id, state=JobState.RUNNING, lease_left_seconds=7)

    await move(connection, JobEvent.CANCEL, endless)
    await move(connection, JobEvent.CANCEL, leased)

    assert await left_of_lease(connection, endless) == pytest.approx(CANCEL_GRACE_SECONDS, abs=5)
    assert await left_of_lease(connection, leased) == pytest.approx(7, abs=5)


@pytest.mark.parametrize(("attempt", "expected"), [(1, 2.0), (2, 6.0), (3, 18.0), (4, 50.0), (900, 50.0)], ids=str)
@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
async def test_failed_attempt_rests_for_its_share_of_the_back_off(
    connection: Connection, project_id: UUID, attempt: int, expected: float, jitter: float
) -> None:
    made = await factories.job(
        connection,
        project_id,
        state=JobState.RUNNING,
        attempt=attempt,
        max_attempts=1_000,
        retry_delay_seconds=2.0,
        retry_factor=3.0,
        retry_max_delay_seconds=50.0,
    )

    moved = await move(connection, JobEvent.FAIL, made, jitter=jitter, error_code="boom", error_message="it broke")

    assert moved
    row = await factories.row(connection, made)
    assert (row.state, row.attempt, row.token, row.worker) == ("retrying", attempt, None, None)
    assert (row.error_code, row.error_message) == ("boom", "it broke")
    assert row.scheduled_at - moved.now == timedelta(seconds=jitter * expected)


async def test_retry_after_wins_over_the_back_off(connection: Connection, project_id: UUID) -> None:
    made = await factories.job(connection, project_id, state=JobState.RUNNING)
    moved = await move(connection, JobEvent.FAIL, made, jitter=1.0, retry_after_seconds=77.0)
    assert moved
    assert moved.scheduled_at - moved.now == timedelta(seconds=77)
    assert moved.claimable_now


async def test_a_delay_of_nothing_and_a_factor_below_one_are_no_errors(
    connection: Connection, project_id: UUID
) -> None:
    shapes: tuple[dict[str, Any], ...] = (
        {"retry_delay_seconds": 0.0},
        {"retry_factor": 0.5, "attempt": 900, "max_attempts": 1_000},
    )
    for columns in shapes:
        made = await factories.job(connection, project_id, state=JobState.RUNNING, **columns)
        moved = await move(connection, JobEvent.FAIL, made, jitter=1.0)
        assert moved
        assert moved.scheduled_at - moved.now < timedelta(seconds=1)


async def test_failure_of_the_last_attempt_or_without_retry_ends_the_job(
    connection: Connection, project_id: UUID
) -> None:
    last = await factories.job(connection, project_id, state=JobState.RUNNING, attempt=3)
    hopeless = await factories.job(connection, project_id, state=JobState.RUNNING)

    await move(connection, JobEvent.FAIL, last, error_code="boom", error_message="it broke")
    await move(connection, JobEvent.FAIL, hopeless, retryable=False, error_code="boom", error_message="it broke")

    for made in (last, hopeless):
        row = await factories.row(connection, made)
        assert (row.state, row.error_code, row.token) == ("failed", "boom", made.token)


async def test_release_does_not_count_the_attempt_and_offers_the_job_at_once(
    connection: Connection, project_id: UUID
) -> None:
    made = await factories.job(connection, project_id, state=JobState.RUNNING, attempt=2)

    moved = await move(connection, JobEvent.RELEASE, made)

    assert moved
    assert moved.claimable_now
    row = await factories.row(connection, made)
    assert (row.state, row.attempt, row.token, row.worker) == ("pending", 1, None, None)
    assert row.scheduled_at == moved.now
    assert await left_of_lease(connection, made) is None


@pytest.mark.parametrize("event", [JobEvent.COMPLETE, JobEvent.FAIL])
async def test_late_call_under_a_token_that_nobody_superseded_counts(
    connection: Connection, project_id: UUID, event: JobEvent
) -> None:
    made = await factories.job(connection, project_id, state=JobState.RUNNING, lease_left_seconds=-HOUR)
    lapsed = await move(connection, JobEvent.LEASE_RAN_OUT, made, error_code="lease_ran_out")
    assert lapsed
    assert lapsed.target is JobState.RETRYING

    moved = await move(connection, event, made, retryable=False)

    assert moved
    assert moved.target == {JobEvent.COMPLETE: "completed", JobEvent.FAIL: "failed"}[event]
    assert moved.attempt == 1


async def test_lease_of_the_last_attempt_expires_the_job(connection: Connection, project_id: UUID) -> None:
    made = await factories.job(connection, project_id, state=JobState.RUNNING, attempt=3, lease_left_seconds=-HOUR)
    moved = await move(connection, JobEvent.LEASE_RAN_OUT, made)
    assert moved
    assert moved.target is JobState.EXPIRED


@pytest.mark.parametrize("state", sorted(LIVE))
async def test_deadline_ends_every_live_job(connection: Connection, project_id: UUID, state: JobState) -> None:
    past = await factories.job(connection, project_id, state=state, expires_at=factories.in_seconds(-HOUR))
    later = await factories.job(connection, project_id, state=state, expires_at=factories.in_seconds(HOUR))
    never = await factories.job(connection, project_id, state=state)

    assert (await sweeps.look(connection, 100)).jobs[JobEvent.DEADLINE] == [past.key]
    assert await move(connection, JobEvent.DEADLINE, past)
    assert await move(connection, JobEvent.DEADLINE, later) is None
    assert await move(connection, JobEvent.DEADLINE, never) is None

    row = await factories.row(connection, past)
    assert row.state == ("cancelled" if state is JobState.CANCELLING else "expired")
    assert (await sweeps.look(connection, 100)).jobs[JobEvent.DEADLINE] == []


async def test_the_next_lease_or_deadline_is_known(connection: Connection, project_id: UUID) -> None:
    assert (await sweeps.look(connection, 100)).next_seconds is None
    await factories.job(connection, project_id, state=JobState.RUNNING, lease_left_seconds=HOUR)
    await factories.job(connection, project_id, state=JobState.RUNNING, lease_left_seconds=-HOUR)
    by_lease = (await sweeps.look(connection, 100)).next_seconds
    assert by_lease is not None
    assert HOUR - 60 < by_lease <= HOUR
    await factories.job(connection, project_id, expires_at=factories.in_seconds(10))
    by_deadline = (await sweeps.look(connection, 100)).next_seconds
    assert by_deadline is not None
    assert 0 < by_deadline <= 10


async def test_lapsed_leases_are_found_until_they_are_dealt_with(connection: Connection, project_id: UUID) -> None:
    lapsed = await factories.job(connection, project_id, state=JobState.RUNNING, lease_left_seconds=-HOUR)
    await factories.job(connection, project_id, state=JobState.RUNNING, lease_left_seconds=HOUR)
    await factories.job(connection, project_id, state=JobState.RUNNING, engine="x", lease_left_seconds=None)

    assert (await sweeps.look(connection, 100)).jobs[JobEvent.LEASE_RAN_OUT] == [lapsed.key]
    assert await move(connection, JobEvent.LEASE_RAN_OUT, lapsed)
    assert (await sweeps.look(connection, 100)).jobs[JobEvent.LEASE_RAN_OUT] == []


async def test_what_the_run_said_last_is_kept_when_the_job_ends(connection: Connection, project_id: UUID) -> None:
    said = {"version": 9, "stage": "chunking", "progress": 42.0, "message": "half way", "declared_total": 10}
    said |= {"items_processed": 3, "items_skipped": 1}
    made = await factories.job(connection, project_id, state=JobState.RUNNING, items=5, items_failed=1, run=said)
    before = (await jobs.select_by_ids(connection, [made.key]))[made.key]

    await move(connection, JobEvent.FAIL, made, retryable=False, error_code="boom", error_message="it broke")

    after = (await jobs.select_by_ids(connection, [made.key]))[made.key]
    assert (after.stage, after.progress, after.message) == ("chunking", 42.0, "half way")
    assert after.counts == before.counts
    assert after.version == before.version + 1
    assert await factories.run_row(connection, made) is None


async def test_completing_gives_all_of_the_progress_and_forgets_error_and_checkpoint(
    connection: Connection, project_id: UUID
) -> None:
    made = await factories.job(connection, project_id, state=JobState.RUNNING, error_code="boom", error_message="once")
    await connection.core.execute(
        tables.checkpoints.insert().values(project_id=project_id, job_id=made.id, checkpoint={"at": 7})
    )

    await move(connection, JobEvent.COMPLETE, made, final_call=b"call")

    row = await factories.row(connection, made)
    assert (row.state, row.progress, row.error_code, row.final_call) == ("completed", 100, None, b"call")
    left = await sql.fetch_value(connection, "SELECT count(*) FROM checkpoints WHERE job_id = :id", id=made.id)
    assert left == 0


async def test_one_move_of_many_jobs_moves_those_that_accept_it(connection: Connection, project_id: UUID) -> None:
    made = {state: await factories.job(connection, project_id, state=state) for state in JobState}
    other = await factories.job(connection, await factories.project(connection), state=JobState.RUNNING)
    strangers = Move(project_id=project_id, job_id=other.id, token=other.token)
    before = await factories.whole(connection, other)
    asked = [Move(project_id=project_id, job_id=one.id) for one in made.values()]

    moved = await transitions.move(connection, JobEvent.CANCEL, [*asked, strangers])

    changed = {one.job_id for one in moved}
    assert changed == {one.id for state, one in made.items() if state in LIVE and state is not JobState.CANCELLING}
    assert await factories.whole(connection, other) == before
