"""Why a live job does not go on, from what is known at one moment: a reason for programs, a sentence for people."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from app.domain.job import JobFailure
from app.domain.states import CLAIMABLE, TERMINAL, JobState
from app.domain.worker import PRESENT_SECONDS

MOST_AHEAD: Final = 100
"""Jobs that come first are counted up to here."""
SILENT_PART: Final = 2 / 3
"""The part of its lease after which a worker that has not reported is silent: a heartbeat comes after a third."""


class Reason(StrEnum):
    """Why a job does not go on."""

    SCHEDULED = "scheduled"
    RETRY_BACKOFF = "retry_backoff"
    QUEUE_PAUSED = "queue_paused"
    CONCURRENCY_LIMIT = "concurrency_limit"
    NO_WORKER = "no_worker"
    BEHIND_OTHERS = "behind_others"
    COPYING_ITEMS = "copying_items"
    CANCEL_UNANSWERED = "cancel_unanswered"
    WORKER_SILENT = "worker_silent"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a job does not go on, since when and, if that is known, until when. A reason of None: it does, or ended."""

    reason: Reason | None
    since: datetime | None
    until: datetime | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a job, its queue and its workers, all at one moment. Of the latter two, where it is due."""

    id: UUID
    now: datetime
    type: str
    queue: str
    state: JobState
    engine: str | None
    copying: bool
    attempt: int
    max_attempts: int
    items_total: int
    error: JobFailure | None
    worker: str | None
    status_changed_at: datetime
    scheduled_at: datetime
    cancelled_at: datetime | None
    cancelled_by: str | None
    lease_seconds: int | None
    lease_ends_at: datetime | None
    paused: bool
    paused_at: datetime | None
    paused_by: str | None
    paused_reason: str | None
    paused_until: datetime | None
    concurrency_limit: int | None
    held: int
    """Jobs of the queue that are held, where it has a limit."""
    oldest_worker: str | None
    oldest_held_at: datetime | None
    place: int | None
    """Among the jobs of its queue that are handed out first, from 1 on; None if it is not one of these."""
    last_worker: str | None
    """The worker that was the last to ask for such a job, and when."""
    last_asked_at: datetime | None
    has_worker: bool
    """Whether a worker for such jobs is there."""


def explain(job: Facts) -> Waiting:
    """Return why a job does not go on."""
    if job.state in TERMINAL:
        return Waiting(None, job.status_changed_at, None, f"The job has ended: {job.state.value}.")
    if job.state is JobState.CANCELLING:
        return _cancelling(job)
    return _waiting(job) if job.state in CLAIMABLE else _held(job)


def _waiting(job: Facts) -> Waiting:
    due = max(job.scheduled_at, job.status_changed_at)
    if job.copying:
        detail = f"The job's {job.items_total:,} items are still being copied from the original job."
        return Waiting(Reason.COPYING_ITEMS, job.status_changed_at, None, detail)
    if job.scheduled_at > job.now:
        return _scheduled(job)
    if job.paused and job.engine is None:
        since = due if job.paused_at is None else max(due, job.paused_at)
        return Waiting(Reason.QUEUE_PAUSED, since, job.paused_until, _pause(job))
    if job.concurrency_limit is not None and job.held >= job.concurrency_limit:
        return Waiting(Reason.CONCURRENCY_LIMIT, due, None, _limit(job))
    if job.engine is not None:
        detail = f"The engine {job.engine} has not claimed the job, which nobody is given but by its id."
        return Waiting(Reason.NO_WORKER, due, None, detail)
    if not job.has_worker:
        since = due if job.last_asked_at is None else max(due, job.last_asked_at)
        return Waiting(Reason.NO_WORKER, since, None, _nobody(job))
    return Waiting(Reason.BEHIND_OTHERS, due, None, _turn(job))


def _scheduled(job: Facts) -> Waiting:
    reason, detail = Reason.SCHEDULED, f"The job starts at {_time(job.scheduled_at)}"
    if job.state is JobState.RETRYING:
        reason = Reason.RETRY_BACKOFF
        failure = f": {job.error.code}: {job.error.message}" if job.error else ""
        detail = (
            f"Attempt {job.attempt + 1} of {job.max_attempts} starts at {_time(job.scheduled_at)}, "
            f"in {length(job.scheduled_at - job.now)}; the last one failed{failure}"
        )
    elif job.scheduled_at - job.now < timedelta(days=1):
        detail += f", in {length(job.scheduled_at - job.now)}"
    return Waiting(reason, job.status_changed_at, job.scheduled_at, _sentence(detail))


def _pause(job: Facts) -> str:
    text = f"Queue {job.queue} is paused"
    text += f" since {_time(job.paused_at)}" if job.paused_at else ""
    text += f" until {_time(job.paused_until)}" if job.paused_until else ""
    text += f" by key {job.paused_by}" if job.paused_by else ""
    return _sentence(text + (f": {job.paused_reason}" if job.paused_reason else ""))


def _limit(job: Facts) -> str:
    text = f"{job.held} of {job.concurrency_limit} held in queue {job.queue}"
    if job.oldest_held_at is not None:
        text += f"; the oldest by {job.oldest_worker} for {length(job.now - job.oldest_held_at)}"
    return _sentence(text)


def _nobody(job: Facts) -> str:
    text = f"No worker has asked for queue {job.queue} and type {job.type} in the last"
    if job.last_asked_at is None:
        return f"{text} 24 h."
    return f"{text} {PRESENT_SECONDS} s (last: {job.last_worker}, {length(job.now - job.last_asked_at)} ago)."


def _turn(job: Facts) -> str:
    if job.place is None:
        text = f"{MOST_AHEAD} or more jobs of queue {job.queue} come first"
    elif job.place == 2:
        text = f"1 job of queue {job.queue} comes first"
    elif job.place > 1:
        text = f"{job.place - 1} jobs of queue {job.queue} come first"
    else:
        text = f"The job is the next of queue {job.queue}"
    if job.last_asked_at is not None:
        text += f"; {job.last_worker} asked for such jobs {length(job.now - job.last_asked_at)} ago"
    return _sentence(text)


def _held(job: Facts) -> Waiting:
    if job.lease_ends_at is None or job.lease_seconds is None:
        detail = f"{job.worker} holds the job, under a lease without end."
        return Waiting(None, job.status_changed_at, None, detail)
    heard_at = job.lease_ends_at - timedelta(seconds=job.lease_seconds)
    silence = job.now - heard_at
    if silence <= SILENT_PART * timedelta(seconds=job.lease_seconds):
        left = length(job.lease_ends_at - job.now)
        detail = f"{job.worker} holds the job, and last reported {length(silence)} ago; the lease ends in {left}."
        return Waiting(None, job.status_changed_at, None, detail)
    detail = f"{job.worker} holds the job, and has not reported for {length(silence)}; "
    if job.lease_ends_at > job.now:
        detail += f"the lease ends in {length(job.lease_ends_at - job.now)}."
    else:
        detail += "the lease has ended."
    return Waiting(Reason.WORKER_SILENT, heard_at, job.lease_ends_at, detail)


def _cancelling(job: Facts) -> Waiting:
    by = f" by key {job.cancelled_by}" if job.cancelled_by else ""
    since = job.cancelled_at or job.status_changed_at
    detail = f"Cancel was asked for{by} {length(job.now - since)} ago, and {job.worker} has not answered it"
    if job.lease_ends_at is not None:
        detail += f"; the job is cancelled by {_time(job.lease_ends_at)} at the latest, unless the lease is renewed"
    return Waiting(Reason.CANCEL_UNANSWERED, since, job.lease_ends_at, _sentence(detail))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def length(duration: timedelta) -> str:
    """Write a length of time as people say it, in its largest unit."""
    seconds = max(0, round(duration.total_seconds()))
    for unit, size in (("days", 2 * 86_400), ("h", 2 * 3600), ("min", 2 * 60)):
        if seconds >= size:
            return f"{seconds // (size // 2)} {unit}"
    return f"{seconds} s"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
