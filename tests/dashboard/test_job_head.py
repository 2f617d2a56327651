"""The head of a job's page, made from the job alone: its sentence, its bar, its stages, what it offers."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.dashboard.formats import told
from app.dashboard.job.sentences import sentence_of, time_left
from app.dashboard.job.stages import MOST_STAGES, StageClock
from app.dashboard.job.views import head_of, segments_of
from app.domain.event import JobEventRecord, Position
from app.domain.item import Counts
from app.domain.job import Eta, JobFailure
from app.domain.principal import Principal, Scope
from app.domain.states import TERMINAL, JobState
from app.domain.waiting import Reason, Waiting
from tests.dialects.samples import CREATED_AT, sample

GONE = JobFailure("s3_down", "bucket gone")
FILES = Counts(total=8_646, processed=4_207, failed=3)


def ago(**length: float) -> timedelta:
    """A moment of the past, as far as the test runs."""
    return -timedelta(**length)


def later(**length: float) -> timedelta:
    return timedelta(**length)


SENTENCES: list[tuple[JobState, dict[str, Any], str]] = [
    (
        JobState.RUNNING,
        {"stage": "embedding", "counts": FILES, "eta": Eta(450, 361, 540)},
        "Running: embedding, 4,210 of 8,646 files, 3 failed, 6 to 9 minutes left",
    ),
    (JobState.RUNNING, {"progress": 42.4}, "Running: 42 %"),
    (
        JobState.FAILED,
        {"attempt": 3, "error": GONE},
        "Failed after 3 of 3 attempts: s3_down: bucket gone",
    ),
    (
        JobState.RETRYING,
        {"attempt": 1, "error": GONE, "scheduled_at": later(seconds=72.4)},
        "Retrying in 1 min 12 s, attempt 2 of 3, because s3_down: bucket gone.",
    ),
    (JobState.RETRYING, {"attempt": 1}, "Waiting for attempt 2 of 3."),
    (
        JobState.CANCELLING,
        {"worker": "w2", "cancelled_by": "ops", "cancelled_at": ago(seconds=4)},
        "Cancel asked for by key ops 4 s ago; w2 has not answered yet.",
    ),
    (JobState.PENDING, {"scheduled_at": later(hours=2, seconds=1)}, "Scheduled: starts in 2 h."),
    (JobState.PENDING, {"scheduled_at": ago(hours=2)}, "Waiting for a worker."),
    (
        JobState.DISPATCHED,
        {"worker": "w2", "status_changed_at": ago(minutes=3)},
        "w2 took the job 3 min ago and has not reported yet.",
    ),
    (
        JobState.COMPLETED,
        {"started_at": CREATED_AT, "counts": Counts(total=5, processed=5)},
        "Completed in 5 min: 5 files",
    ),
    (JobState.COMPLETED, {"counts": Counts()}, "Completed"),
    (
        JobState.COMPLETED,
        {"counts": Counts(total=5, processed=4, skipped=1)},
        "Completed: 4 of 5 files, 1 skipped",
    ),
    (JobState.COMPLETED_WITH_FAILURES, {}, "Completed with failures: 1 of 50 files failed"),
    (JobState.EXPIRED, {"attempt": 0}, "Expired: the job's deadline passed before a worker took it."),
    (JobState.CANCELLED, {"cancelled_by": "ops", "cancelled_at": ago(hours=1)}, "Cancelled by key ops 1 h ago."),
]


@pytest.mark.parametrize(("state", "fields", "wanted"), SENTENCES)
def test_one_sentence_says_how_the_job_goes(state: JobState, fields: dict[str, Any], wanted: str) -> None:
    now = datetime.now(UTC)
    moments = {name: now + value for name, value in fields.items() if isinstance(value, timedelta)}
    shown = told(sentence_of(sample(state, **(fields | moments)), now))
    assert shown.striptags() == wanted


@pytest.mark.parametrize("state", JobState)
def test_every_state_has_a_sentence(state: JobState) -> None:
    assert told(sentence_of(sample(state), datetime.now(UTC))).striptags()


def test_sentence_says_why_the_job_waits() -> None:
    now = datetime.now(UTC)
    waiting = Waiting(Reason.NO_WORKER, now, None, "No worker has asked for queue docs.")
    pending = sample(JobState.PENDING, scheduled_at=now + ago(hours=3))
    assert sentence_of(pending, now, waiting) == ("Waiting: no worker has asked for queue docs.",)
    retrying = sample(JobState.RETRYING, scheduled_at=now + ago(hours=3))
    assert sentence_of(retrying, now, waiting) == ("Waiting for attempt 2 of 3: no worker has asked for queue docs.",)


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0.1, 0.4, "1 second"), (40, 60, "40 to 60 seconds"), (59, 91, "1 to 2 minutes"), (7200, 9_000, "2 hours")],
)
def test_estimate_has_bounds_in_one_unit(low: float, high: float, wanted: str) -> None:
    assert time_left(Eta(high, low, high)) == wanted


@pytest.mark.parametrize(
    ("state", "counts", "wanted"),
    [
        (JobState.RUNNING, Counts(10, 4, 1, 1), {"completed": 400, "failed": 100, "skipped": 100, "queued": 400}),
        (JobState.CANCELLED, Counts(10, 4), {"completed": 400, "failed": 0, "skipped": 0, "cancelled": 600}),
        (JobState.RUNNING, Counts(10**6, 10**6 - 1, 1), {"completed": 1000, "failed": 4, "skipped": 0, "queued": 0}),
        # More are done than were announced.
        (JobState.RUNNING, Counts(1, 4), {"completed": 1000, "failed": 0, "skipped": 0, "queued": 0}),
    ],
)
def test_bar_is_cut_by_status(state: JobState, counts: Counts, wanted: dict[str, int]) -> None:
    segments = segments_of(sample(state, counts=counts))
    assert {each.status: each.width for each in segments} == wanted
    assert all(each.start + each.width <= 1000 for each in segments)


def event(kind: str, after: float, target: JobState = JobState.RUNNING, **data: Any) -> JobEventRecord:
    """An event so many seconds after the beginning."""
    return JobEventRecord(
        position=Position(1, 1),
        project_id=UUID(int=1),
        job_id=UUID(int=2),
        type=kind,
        at=CREATED_AT + timedelta(seconds=after),
        attempt=1,
        worker="w",
        source=None,
        target=target,
        data=data or None,
        queue="default",
    )


def times(clock: StageClock, **fields: Any) -> dict[str, float]:
    """The stages and the seconds in each; of the one that goes on, until 100 s after the beginning."""
    job = sample(**({"state": JobState.RUNNING} | fields))
    end = CREATED_AT + timedelta(seconds=100)
    return {
        each.name: (end - each.begins).total_seconds() if each.begins else each.seconds for each in clock.stages(job)
    }


def test_stages_have_their_times() -> None:
    clock = StageClock(
        [
            event("job.claimed", 0, JobState.DISPATCHED),
            event("job.progressed", 10, stage="a"),
            event("job.progressed", 15, stage="a"),
            event("job.progressed", 30, stage="b"),
            event("job.progressed", 40, stage="a"),
        ]
    )
    assert times(clock, stage="a") == {"a": 80, "b": 10}, "what is entered again adds up"
    ahead = CREATED_AT + timedelta(seconds=70)
    assert times(clock, stage="c", updated_at=ahead) == {"a": 50, "b": 10, "c": 30}, "the job is ahead of its events"
    clock.note(event("job.completed", 90, JobState.COMPLETED))
    assert times(clock, state=JobState.COMPLETED) == {"a": 70, "b": 10}


def test_stages_are_of_the_latest_attempt() -> None:
    clock = StageClock([event("job.progressed", 10, stage="a"), event("job.retrying", 20, JobState.RETRYING)])
    assert times(clock, state=JobState.RETRYING) == {"a": 10}, "it can be read until the next attempt"
    clock.note(event("job.claimed", 50, JobState.DISPATCHED))
    assert times(clock) == {}


def test_stages_are_bounded() -> None:
    clock = StageClock(event("job.progressed", n, stage=f"file {n}") for n in range(500))
    stages = clock.stages(sample(JobState.RUNNING, stage="file 499"))
    assert [each.name for each in stages][-1] == "file 499"
    assert len(stages) == MOST_STAGES


def test_too_many_events_are_not_counted() -> None:
    clock = StageClock([event("job.progressed", 10, stage="a")], is_partial=True)
    assert clock.is_partial
    assert times(clock, stage="z", updated_at=CREATED_AT + timedelta(seconds=70)) == {"z": 30}, "from now on"


def caller(*scopes: Scope, queues: frozenset[str] | None = None) -> Principal:
    return Principal(UUID(int=1), "k", "ops", frozenset(scopes), queues)


@pytest.mark.parametrize("state", JobState)
def test_page_offers_what_the_state_allows_and_the_key_may(state: JobState) -> None:
    job = sample(state)
    all_of_it = head_of(job, caller(Scope.ADMIN)).offers
    ended = state in TERMINAL
    assert (all_of_it.rerun, all_of_it.delete) == (ended, ended)
    assert all_of_it.cancel is (not ended and state is not JobState.CANCELLING)
    assert all_of_it.failed == (1 if state is JobState.COMPLETED_WITH_FAILURES else 0)
    reader = head_of(job, caller(Scope.READ)).offers
    assert not any((reader.cancel, reader.rerun, reader.failed, reader.again, reader.delete))
    limited = head_of(job, caller(Scope.ADMIN, queues=frozenset({"other"}))).offers
    assert not any((limited.cancel, limited.rerun, limited.failed, limited.delete))
    assert limited.again, "in a queue of its own"
