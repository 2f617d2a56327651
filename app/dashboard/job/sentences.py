"""The sentence on top of a job's page: how it goes, how it ended, or why it waits."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeAlias

from app.dashboard.formats import duration
from app.domain.job import Eta, Job
from app.domain.states import CLAIMABLE, JobState
from app.domain.waiting import Reason, Waiting

Parts: TypeAlias = tuple[str | datetime, ...]
"""A sentence in parts: a time in it is shown as the length of time that it is away."""

_BY_ITS_TIME: Final = frozenset({Reason.SCHEDULED, Reason.RETRY_BACKOFF})


def sentence_of(job: Job, now: datetime, why: Waiting | None = None) -> Parts:
    """Write how a job is going, in one sentence; `why` says why it waits, where it was asked for."""
    if job.state in CLAIMABLE:
        return _waiting(job, now, why)
    return _SENTENCES[job.state](job)


def _waiting(job: Job, now: datetime, why: Waiting | None) -> Parts:
    again = job.state is JobState.RETRYING
    reason = why.reason if why is not None else None
    if why is not None and reason is not None and reason not in _BY_ITS_TIME:
        begins = f"Waiting for attempt {job.attempt + 1} of {job.max_attempts}: " if again else "Waiting: "
        return (begins + why.detail[:1].lower() + why.detail[1:],)
    if job.scheduled_at > now:
        if not again:
            return ("Scheduled: starts in ", job.scheduled_at, ".")
        next_attempt = f", attempt {job.attempt + 1} of {job.max_attempts}"
        return ("Retrying in ", job.scheduled_at, next_attempt, _sentence(_because(job)))
    if again:
        return (_sentence(f"Waiting for attempt {job.attempt + 1} of {job.max_attempts}{_because(job)}"),)
    return ("Waiting for a worker.",)


def _because(job: Job) -> str:
    return f", because {_error(job.error.code, job.error.message)}" if job.error else ""


def _dispatched(job: Job) -> Parts:
    return (f"{_worker(job)} took the job ", job.status_changed_at, " ago and has not reported yet.")


def _running(job: Job) -> Parts:
    counts = job.counts
    told = [job.stage] if job.stage else []
    told.append(f"{counts.done:,} of {_files(counts.total)}" if counts.total else f"{job.progress:.0f} %")
    if counts.failed:
        told.append(f"{counts.failed:,} failed")
    if job.eta is not None:
        told.append(f"{time_left(job.eta)} left")
    if job.overdue:
        told.append(f"overdue, for it was expected to take {duration(job.expected_seconds or 0)}")
    return (f"Running: {', '.join(told)}",)


def _cancelling(job: Job) -> Parts:
    by = f" by key {job.cancelled_by}" if job.cancelled_by else ""
    since = job.cancelled_at or job.status_changed_at
    return (f"Cancel asked for{by} ", since, f" ago; {_worker(job)} has not answered yet.")


def _completed(job: Job) -> Parts:
    counts = job.counts
    told = f"Completed{_run_time(job)}"
    if counts.total:
        told += f": {counts.processed:,} of {_files(counts.total)}" if counts.skipped else f": {_files(counts.total)}"
    return (told + (f", {counts.skipped:,} skipped" if counts.skipped else ""),)


def _partly(job: Job) -> Parts:
    counts = job.counts
    return (f"Completed with failures{_run_time(job)}: {counts.failed:,} of {_files(counts.total)} failed",)


def _failed(job: Job) -> Parts:
    failure = job.failure
    told = f"Failed after {job.attempt} of {job.max_attempts} attempts"
    return (told + (f": {_error(failure.code, failure.message)}" if failure else ""),)


def _expired(job: Job) -> Parts:
    failure = job.failure
    if not job.attempt:
        return ("Expired: the job's deadline passed before a worker took it.",)
    told = f"Expired in attempt {job.attempt} of {job.max_attempts}"
    return (told + (f": {failure.message}" if failure else ""),)


def _cancelled(job: Job) -> Parts:
    by = f" by key {job.cancelled_by}" if job.cancelled_by else ""
    at = job.cancelled_at or job.completed_at
    return (f"Cancelled{by}",) if at is None else (f"Cancelled{by} ", at, " ago.")


_SENTENCES: Final[dict[JobState, Callable[[Job], Parts]]] = {
    JobState.DISPATCHED: _dispatched,
    JobState.RUNNING: _running,
    JobState.CANCELLING: _cancelling,
    JobState.COMPLETED: _completed,
    JobState.COMPLETED_WITH_FAILURES: _partly,
    JobState.FAILED: _failed,
    JobState.EXPIRED: _expired,
    JobState.CANCELLED: _cancelled,
}


def time_left(eta: Eta) -> str:
    """Write an estimate with its bounds, in one unit: `6 to 9 minutes`."""
    for size, unit, most in ((1, "second", 90), (60, "minute", 90 * 60), (3600, "hour", None)):
        if most is None or eta.high_seconds < most:
            low, high = max(1, round(eta.low_seconds / size)), max(1, round(eta.high_seconds / size))
            words = unit if high == 1 else f"{unit}s"
            return f"{low:,} to {high:,} {words}" if low < high else f"{high:,} {words}"
    raise AssertionError("the last unit has no bound")


def _files(count: int) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}"


def _run_time(job: Job) -> str:
    if job.started_at is None or job.completed_at is None:
        return ""
    return f" in {duration((job.completed_at - job.started_at).total_seconds())}"


def _error(code: str, message: str) -> str:
    return f"{code}: {message}" if message else code


def _worker(job: Job) -> str:
    return job.worker or "the worker"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
