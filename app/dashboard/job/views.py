"""What the page of a job shows, made from the job: pure functions, as a dialect's translation."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from app.dashboard.job.sentences import Parts, sentence_of
from app.dashboard.job.stages import Stage, StageClock
from app.domain.job import Job
from app.domain.principal import Principal, Scope
from app.domain.states import CLAIMABLE, LEASED, RERUNNABLE, JobState
from app.domain.waiting import Waiting

PARTS: Final = ("sentence", "bar", "stages", "life", "actions")
"""The parts of the head, each replaced alone when it changes."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the bar, in thousandths of its length."""

    status: str
    name: str
    count: int
    start: int
    width: int


@dataclass(frozen=True, slots=True)
class Life:
    """The sign of life of the worker that holds a job, and how good a sign it is: `ok`, `warn` or `bad`."""

    words: Parts
    tone: str


@dataclass(frozen=True, slots=True)
class Offers:
    """What the reader may do with the job now."""

    cancel: bool = False
    rerun: bool = False
    failed: int = 0
    """How many files failed that a rerun may be limited to."""
    again: bool = False
    delete: bool = False


@dataclass(frozen=True, slots=True)
class JobHead:
    """The part of the page that changes with the job."""

    job: Job
    sentence: Parts
    asks: str
    """When the page asks why the job waits, as a trigger; empty of one that does not wait."""
    segments: tuple[Segment, ...]
    progress: str
    stages: tuple[Stage, ...]
    life: Life | None
    offers: Offers
    title: str


def waits(job: Job) -> bool:
    """Whether a job waits for more than its time: then there is a reason to ask for."""
    return job.state in CLAIMABLE and job.scheduled_at <= datetime.now(UTC)


def head_of(job: Job, caller: Principal, waiting: Waiting | None = None, clock: StageClock | None = None) -> JobHead:
    """Return what the head of the page shows."""
    now = datetime.now(UTC)
    asks = "every 5s" if waiting is not None or not waits(job) else "load, every 5s"
    return JobHead(
        job=job,
        sentence=sentence_of(job, now, waiting),
        asks=asks if job.state in CLAIMABLE else "",
        segments=segments_of(job),
        progress=f"{job.progress:.0f} %",
        stages=(clock or StageClock()).stages(job),
        life=life_of(job, now, waiting),
        offers=offers_of(job, caller),
        title=title_of(job),
    )


def title_of(job: Job) -> str:
    """Write what the browser's tab shows: the state first, which is what is left of it among many."""
    state = job.state.value.replace("_", " ")
    told = f"{job.progress:.0f} %" if job.state is JobState.RUNNING else state
    return f"{told} · {job.type} {str(job.id)[-8:]}"


def life_of(job: Job, now: datetime, waiting: Waiting | None) -> Life | None:
    """Return the sign of life of the worker that holds the job. Its heartbeats are no change of the job, so without
    `waiting` there is only who holds it.
    """
    if job.state not in LEASED:
        return None
    if waiting is None:
        return Life((f"{job.worker or 'A worker'} holds the job.",), "")
    if job.state is JobState.CANCELLING and waiting.until is not None:
        by = "The job is cancelled when it answers, and if it does not report by then, in "
        return Life((f"{job.worker or 'The worker'} has been asked to stop. {by}", waiting.until, "."), "warn")
    if waiting.until is not None and waiting.until <= now:
        return Life((waiting.detail,), "bad")
    return Life((waiting.detail,), "ok" if waiting.reason is None else "warn")


def offers_of(job: Job, caller: Principal) -> Offers:
    """Return what the state allows and the key may."""
    if not caller.may(Scope.SUBMIT):
        return Offers()
    if caller.queues is not None and job.queue not in caller.queues:
        return Offers(again=True)
    ended = job.state in RERUNNABLE
    return Offers(
        cancel=not ended and job.state is not JobState.CANCELLING,
        rerun=ended,
        failed=job.counts.failed if ended else 0,
        again=True,
        delete=ended,
    )


def segments_of(job: Job) -> tuple[Segment, ...]:
    """Cut the bar by the status of the job's files, as far as their counts tell it; without files by its progress."""
    counts = job.counts
    total = max(counts.total, counts.done)
    if not total:
        return _by_progress(job)
    left = "cancelled" if job.terminal else "queued"
    known = (
        ("completed", "completed", counts.processed),
        ("failed", "failed", counts.failed),
        ("skipped", "skipped", counts.skipped),
        (left, "in work or queued" if job.state in LEASED else left, total - counts.done),
    )
    segments, start = [], 0
    for status, name, count in known:
        # The smallest part is seen as well: one failed file of a million is what the reader looks for.
        width = max(round(1000 * count / total), 4) if count else 0
        start = min(start, 1000 - width)
        segments.append(Segment(status, name, count, start, width))
        start += width
    return tuple(segments)


def _by_progress(job: Job) -> tuple[Segment, ...]:
    status = {JobState.COMPLETED: "completed", JobState.FAILED: "failed", JobState.EXPIRED: "failed"}
    kind = status.get(job.state, "cancelled" if job.terminal else "processing")
    return (Segment(kind, "", 0, 0, round(10 * job.progress)),)
