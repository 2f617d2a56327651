"""What the page of a job shows, made from the job: pure functions, as a dialect's translation."""

from dataclasses import dataclass

from app.domain.job import Job
from app.domain.states import JobState


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the bar, in thousandths of its length."""

    status: str
    count: int
    start: int
    width: int


@dataclass(frozen=True, slots=True)
class JobHead:
    """The part of the page that changes with the job."""

    job: Job
    sentence: str
    segments: tuple[Segment, ...]


def head_of(job: Job) -> JobHead:
    """Return what the head of the page shows."""
    return JobHead(job, sentence_of(job), segments_of(job))


def sentence_of(job: Job) -> str:
    """Write how the job is going, in one sentence."""
    failure = job.failure
    if job.state is JobState.COMPLETED:
        return "Completed."
    if job.state is JobState.COMPLETED_WITH_FAILURES:
        return f"Completed; {job.counts.failed:,} of {job.counts.total or 0:,} failed."
    if failure is not None:
        return f"Failed in attempt {job.attempt} of {job.max_attempts}: {failure.code}: {failure.message}"
    return f"{job.state.value.capitalize()}: {job.stage or 'no stage yet'}"


def segments_of(job: Job) -> tuple[Segment, ...]:
    """Cut the bar by the status of the job's items."""
    counts = job.counts
    known = [("completed", counts.processed), ("failed", counts.failed), ("skipped", counts.skipped)]
    total = max(counts.total or 0, sum(count for _, count in known))
    if not total:
        return ()
    segments, start = [], 0
    for status, count in known:
        width = round(1000 * count / total)
        if count:
            segments.append(Segment(status, count, start, max(width, 2)))
            start += width
    return tuple(segments)
