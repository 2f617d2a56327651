"""What the start page shows, made from what was read: pure functions, as a dialect's translation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.dashboard.formats import duration, size
from app.domain.errors import NoSpaceError
from app.domain.job import Job
from app.domain.queue import Depth
from app.domain.states import CLAIMABLE, LEASED, JobState
from app.domain.waiting import Reason, Waiting
from app.domain.worker import Worker

FAILED: Final = frozenset({JobState.FAILED, JobState.EXPIRED, JobState.COMPLETED_WITH_FAILURES})
NEWEST: Final = timedelta(days=1)
"""How long a failure is news."""
MOST_ROWS: Final = 20
MOST_FAILURES: Final = 10
LONGEST_MESSAGE: Final = 200
LOW_DISK: Final = 4
"""The disk is low below this many times the bytes at which creations are refused: time to act is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was read for the page."""

    now: datetime
    depths: Mapping[str, Depth]
    """Of the queues that hold live jobs."""
    reasons: Mapping[UUID, Waiting]
    """Why they do not go on: the job of each queue that is due for longest, and the jobs that are held."""
    held: Sequence[UUID]
    types: Mapping[UUID, str]
    """Of the jobs that are held."""
    overdue: Sequence[Job] = ()
    """Those of them whose attempt takes longer than expected."""
    more_held: bool
    failed: Sequence[Job]
    more_failed: bool
    workers: Sequence[Worker]
    more_workers: bool
    ended_per_minute: int | None
    """None where there are too many queues to add up."""
    checks: Mapping[str, str]
    """The checks of readiness that fail."""
    free_bytes: float | None
    least_free_bytes: float | None
    listener_up: bool
    feed_seconds: float | None


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue that waits, and for nobody."""

    name: str
    due: int
    oldest_id: UUID
    since: datetime | None
    detail: str


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job that does not go on as it should."""

    id: UUID
    type: str
    detail: str


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A job that ended badly."""

    id: UUID
    type: str
    queue: str
    state: str
    ended_at: datetime
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How much there is of everything. Those that are None are not known."""

    due: int
    scheduled: int
    held: int
    ended_per_minute: int | None
    workers: int
    more_workers: bool
    free_bytes: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NowView:
    """The start page."""

    sentence: str
    is_well: bool
    service: tuple[str, ...]
    """What is wrong with the service itself, a sentence each."""
    queues: tuple[QueueRow, ...]
    more_queues: int
    overdue: tuple[JobRow, ...]
    more_overdue: int
    silent: tuple[JobRow, ...]
    more_silent: int
    held_unseen: int
    """How many of the jobs that are held were looked at, if not all; otherwise 0."""
    failures: tuple[FailureRow, ...]
    more_failures: int
    failures_unseen: bool
    """Whether there are more than were read."""
    numbers: Numbers


def view_of(found: Found) -> NowView:
    """Return what the page shows."""
    service = tuple(_faults(found))
    queues = sorted(_queues(found), key=lambda row: row.name)
    overdue = [JobRow(job.id, job.type, _late(job)) for job in found.overdue]
    silent = [
        JobRow(id_, found.types.get(id_, "job"), found.reasons[id_].detail)
        for id_ in found.held
        if id_ in found.reasons and found.reasons[id_].reason is Reason.WORKER_SILENT
    ]
    failures = _failures(found)
    sentence = _sentence(
        [
            _many(len(service), "fault of the service", "faults of the service"),
            _many(len(queues), "queue waits without a worker", "queues wait without a worker"),
            _many(len(overdue), "job is overdue", "jobs are overdue"),
            _many(len(silent), "job has a silent worker", "jobs have silent workers"),
            _many(
                len(failures), "job failed", "jobs failed", or_more=found.more_failed, within=" in the last 24 hours"
            ),
        ]
    )
    return NowView(
        sentence=sentence or "All is well.",
        is_well=not sentence,
        service=service,
        queues=tuple(queues[:MOST_ROWS]),
        more_queues=len(queues[MOST_ROWS:]),
        overdue=tuple(overdue[:MOST_ROWS]),
        more_overdue=len(overdue[MOST_ROWS:]),
        silent=tuple(silent[:MOST_ROWS]),
        more_silent=len(silent[MOST_ROWS:]),
        held_unseen=len(found.held) if found.more_held else 0,
        failures=tuple(failures[:MOST_FAILURES]),
        more_failures=len(failures[MOST_FAILURES:]),
        failures_unseen=found.more_failed,
        numbers=_numbers(found),
    )


def _late(job: Job) -> str:
    by = f" by {job.worker}" if job.worker else ""
    return f"Attempt {job.attempt}{by} was expected to take {duration(job.expected_seconds or 0)}, and goes on."


def due_of(depth: Depth) -> int:
    """Count the jobs of a queue whose time has come."""
    return depth.count(CLAIMABLE) - depth.scheduled


def _sentence(parts: Sequence[str]) -> str:
    text = ", ".join(part for part in parts if part)
    return text and f"{text}."


def _many(number: int, single: str, several: str, *, or_more: bool = False, within: str = "") -> str:
    """Write how many there are; empty if none."""
    if not number:
        return ""
    return f"{number:,}{' or more' if or_more else ''} {single if number == 1 and not or_more else several}{within}"


def _queues(found: Found) -> Iterator[QueueRow]:
    for name, depth in found.depths.items():
        id_ = depth.oldest_waiting_id
        reason = None if id_ is None else found.reasons.get(id_)
        if id_ is not None and reason is not None and reason.reason is Reason.NO_WORKER:
            yield QueueRow(name, due_of(depth), id_, reason.since, reason.detail)


def _failures(found: Found) -> list[FailureRow]:
    """Return what failed lately, the newest first. A list of jobs is in the order in which they were created."""
    recent = [job for job in found.failed if job.completed_at is not None and found.now - job.completed_at < NEWEST]
    rows = [
        FailureRow(job.id, job.type, job.queue, job.state.value, job.completed_at or found.now, *_why(job))
        for job in recent
    ]
    return sorted(rows, key=lambda row: row.ended_at, reverse=True)


def _why(job: Job) -> tuple[str, str]:
    if failure := job.failure:
        message = failure.message
        return failure.code, message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]} …"
    failed, total = job.counts.failed, job.counts.total or job.counts.failed
    return "", f"{failed:,} of {total:,} {'file' if total == 1 else 'files'} failed."


def _faults(found: Found) -> Iterator[str]:
    yield from found.checks.values()
    free, least = found.free_bytes, found.least_free_bytes
    if NoSpaceError.code not in found.checks and free is not None and least and free < LOW_DISK * least:
        yield f"The disk of the database has {size(free)} left; below {size(least)} no jobs are created."
    if not found.listener_up:
        yield "News from the database does not arrive here at the moment: waits are answered up to a second late."
    if found.feed_seconds is not None:
        yield (
            f"A transaction that is open for {duration(found.feed_seconds)} holds up the streams of all events; "
            "the service's log names it."
        )


def _numbers(found: Found) -> Numbers:
    depths = found.depths.values()
    return Numbers(
        due=sum(map(due_of, depths)),
        scheduled=sum(depth.scheduled for depth in depths),
        held=sum(depth.count(LEASED) for depth in depths),
        ended_per_minute=found.ended_per_minute,
        workers=sum(worker.present for worker in found.workers),
        more_workers=found.more_workers,
        free_bytes=found.free_bytes,
    )
