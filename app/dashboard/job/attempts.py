"""The attempts of a job, from its events. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from app.domain.event import JobEventRecord
from app.domain.job import Job
from app.domain.states import CLAIMABLE, LEASED, JobState

MOST_ATTEMPTS: Final = 50
"""A job that workers give back is claimed again without end; the last attempts are shown."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a worker took the job: from its claim to how it ended, which may be open."""

    place: int
    number: int
    worker: str | None
    began_at: datetime
    ended_at: datetime | None = None
    state: str = JobState.RUNNING.value
    """What the dot before it shows."""
    outcome: str = "goes on"
    code: str | None = None
    message: str | None = None
    is_last: bool = False

    @property
    def seconds(self) -> float | None:
        """How long it took, None while it goes on."""
        return None if self.ended_at is None else (self.ended_at - self.began_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempts of a job, in their order."""

    job: Job
    attempts: tuple[Attempt, ...]
    left_out: int
    is_cut: bool
    """Whether later events were not read."""


def attempts_of(job: Job, events: Sequence[JobEventRecord], *, is_cut: bool = False) -> Attempts:
    """Return the attempts that the events of a job tell of."""
    found: list[Attempt] = []
    for event in events:
        if event.type == "job.claimed":
            found.append(Attempt(len(found) + 1, event.attempt, event.worker, event.at))
        elif found and event.target in LEASED:
            # A worker that comes back after its lease ran out goes on with the same attempt.
            found[-1] = replace(found[-1], ended_at=None, state=event.target.value, outcome=_going_on(event.target))
        elif found and found[-1].ended_at is None:
            found[-1] = _ended(found[-1], event)
    if found:
        found[-1] = replace(_last(job, found[-1]), is_last=True)
    shown = found[-MOST_ATTEMPTS:]
    return Attempts(job, tuple(shown), len(found) - len(shown), is_cut)


def _going_on(state: JobState) -> str:
    return "was asked to stop" if state is JobState.CANCELLING else "goes on"


def _ended(attempt: Attempt, event: JobEventRecord) -> Attempt:
    reason = (event.data or {}).get("reason")
    code = str(reason) if reason is not None and event.target in _WITH_CODE else None
    return replace(
        attempt,
        ended_at=event.at,
        state=_DOTS.get(event.target, event.target.value),
        outcome=_outcome(event),
        code=code,
    )


_WITH_CODE: Final = frozenset({JobState.FAILED, JobState.RETRYING, JobState.EXPIRED})
_DOTS: Final = {JobState.RETRYING: JobState.FAILED.value, JobState.PENDING: JobState.CANCELLED.value}
_ENDS: Final = {
    JobState.COMPLETED: "completed",
    JobState.COMPLETED_WITH_FAILURES: "completed with failed files",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "stopped: the job was cancelled",
    JobState.PENDING: "the worker gave the job back",
    JobState.EXPIRED: "stopped: the deadline passed, or the worker no longer reported",
}


def _outcome(event: JobEventRecord) -> str:
    if event.target is JobState.RETRYING:
        return "failed, to be tried again" if event.data else "the worker no longer reported: its lease ran out"
    return _ENDS.get(event.target, event.target.value.replace("_", " "))


def _last(job: Job, attempt: Attempt) -> Attempt:
    """Add the job's error to its latest attempt: events have the code alone, and one error is kept."""
    if job.error is None or attempt.ended_at is None or attempt.code not in (None, job.error.code):
        return attempt
    if attempt.state != JobState.FAILED.value:
        return attempt
    return replace(attempt, code=job.error.code, message=job.error.message)


def change_of(job: Job, attempt: int, state: str) -> str | None:
    """Write what has become of the attempts since a page showed the job in an attempt and a state; None if nothing."""
    if job.terminal:
        return "The job has ended"
    if job.attempt > attempt:
        return f"Attempt {job.attempt} has begun"
    if job.attempt < attempt:
        return "The worker gave the job back"
    was_waiting, is_waiting = state in CLAIMABLE, job.state in CLAIMABLE
    if was_waiting == is_waiting:
        return None
    return f"Attempt {attempt} has ended" if is_waiting else f"Attempt {attempt} goes on"
