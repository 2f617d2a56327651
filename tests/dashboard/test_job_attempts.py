"""The attempts that a job's events tell of, without a service."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.dashboard.job.attempts import MOST_ATTEMPTS, Attempts, attempts_of
from app.domain.event import JobEventRecord, Position
from app.domain.item import Counts
from app.domain.job import Job, JobFailure, Retry
from app.domain.states import JobState

PROJECT = UUID(int=1)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def _job(state: JobState, error: JobFailure | None = None) -> Job:
    return Job(
        project_id=PROJECT,
        id=UUID(int=2),
        type="t",
        queue="q",
        engine=None,
        collection=None,
        state=state,
        stage=None,
        progress=0,
        counts=Counts(),
        message=None,
        eta=None,
        error=error,
        labels={},
        priority=0,
        expected_seconds=None,
        overdue=False,
        attempt=1,
        max_attempts=3,
        retry=Retry(),
        original_job_id=None,
        worker=None,
        version=1,
        created_at=BEGAN,
        updated_at=BEGAN,
        status_changed_at=BEGAN,
        scheduled_at=BEGAN,
        expires_at=None,
        started_at=None,
        completed_at=None,
        cancelled_at=None,
        cancelled_by=None,
    )


def _attempts(job: Job, *told: tuple[str, JobState, int, dict[str, Any] | None]) -> Attempts:
    """The attempts of a job by its events, each ten seconds after the one before."""
    events = [
        JobEventRecord(
            position=Position(0, n),
            project_id=PROJECT,
            job_id=job.id,
            type=f"job.{word}",
            at=BEGAN + timedelta(seconds=10 * n),
            attempt=attempt,
            worker="w",
            source=None,
            target=state,
            data=data,
            queue="q",
        )
        for n, (word, state, attempt, data) in enumerate(told)
    ]
    return attempts_of(job, events)


CLAIMED = ("claimed", JobState.DISPATCHED, 1, None)
STARTED = ("progressed", JobState.RUNNING, 1, {"stage": "s", "progress": 0})
LAPSED = ("retrying", JobState.RETRYING, 1, None)


def test_worker_that_came_back_goes_on_with_its_attempt() -> None:
    found = _attempts(_job(JobState.RUNNING), CLAIMED, STARTED, LAPSED, STARTED).attempts
    assert [(each.outcome, each.ended_at, each.is_last) for each in found] == [("goes on", None, True)]


def test_lease_that_ran_out_is_no_failure_of_the_worker() -> None:
    (found,) = _attempts(_job(JobState.RETRYING), CLAIMED, STARTED, LAPSED).attempts
    assert (found.outcome, found.code, found.seconds) == (
        "the worker no longer reported: its lease ran out",
        None,
        20.0,
    )


def test_job_given_back_has_two_attempts_of_one_number() -> None:
    back = ("released", JobState.PENDING, 1, None)
    found = _attempts(_job(JobState.DISPATCHED), CLAIMED, back, CLAIMED).attempts
    assert [(each.number, each.outcome) for each in found] == [(1, "the worker gave the job back"), (1, "goes on")]


def test_latest_attempt_has_the_message_of_its_error_and_the_others_their_codes() -> None:
    job = _job(JobState.FAILED, JobFailure("s3_down", "bucket gone"))
    found = _attempts(
        job,
        CLAIMED,
        ("retrying", JobState.RETRYING, 1, {"reason": "timeout"}),
        ("claimed", JobState.DISPATCHED, 2, None),
        ("failed", JobState.FAILED, 2, {"reason": "s3_down"}),
    ).attempts
    assert [(each.code, each.message) for each in found] == [("timeout", None), ("s3_down", "bucket gone")]


def test_reason_of_a_cancel_is_no_error_code() -> None:
    asked = ("cancelling", JobState.CANCELLING, 1, {"reason": "too slow"})
    job = _job(JobState.CANCELLING)
    assert _attempts(job, CLAIMED, asked).attempts[0].outcome == "was asked to stop"
    (ended,) = _attempts(job, CLAIMED, asked, ("cancelled", JobState.CANCELLED, 1, {"reason": "x"})).attempts
    assert (ended.outcome, ended.code) == ("stopped: the job was cancelled", None)


def test_only_the_latest_attempts_are_shown() -> None:
    shown = _attempts(_job(JobState.RUNNING), *[CLAIMED, LAPSED] * (MOST_ATTEMPTS + 3))
    assert (len(shown.attempts), shown.left_out, shown.attempts[0].place) == (MOST_ATTEMPTS, 3, 4)
