"""What the page of a job shows, made from the job: pure functions, as a dialect's translation."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.dashboard.formats import now
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
    named: bool
    """Whether the legend names it: those that most jobs come to have always, so that nothing moves when they do."""


@dataclass(frozen=True, slots=True)
class Life:
    """The sign of life of the worker that holds a job, and how good a sign it is: `ok`, `warn`, `bad`, or none."""

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
    stages_are_partial: bool
    life: Life
    asks_for_life: bool
    offers: Offers
    title: str


def waits(job: Job) -> bool:
    """Whether a job waits for more than its time: then there is a reason to ask for."""
    return job.state in CLAIMABLE and job.scheduled_at <= now()


def head_of(job: Job, caller: Principal, why: Waiting | None = None, clock: StageClock | None = None) -> JobHead:
    """Return what the head of the page shows."""
    moment, clock = now(), clock or StageClock()
    asks = "every 5s" if why is not None or not waits(job) else "load, every 5s"
    return JobHead(
        job=job,
        sentence=sentence_of(job, moment, why),
        asks=asks if job.state in CLAIMABLE else "",
        segments=segments_of(job),
        progress=f"{job.progress:.0f} %",
        stages=clock.stages(job),
        stages_are_partial=clock.is_partial,
        life=life_of(job, moment, why),
        asks_for_life=job.state in LEASED,
        offers=offers_of(job, caller),
        title=title_of(job),
    )


def title_of(job: Job) -> str:
    """Write what the browser's tab shows: the state first, which is what is left of it among many."""
    state = job.state.value.replace("_", " ")
    told = f"{job.progress:.0f} %" if job.state is JobState.RUNNING else state
    return f"{told} · {job.type} {str(job.id)[-8:]}"


def life_of(job: Job, moment: datetime, why: Waiting | None) -> Life:
    """Return the sign of life of the worker that holds the job. Its heartbeats are no change of the job, so without
    `why` there is only who holds it.
    """
    worker = job.worker or "The worker"
    if job.state in CLAIMABLE:
        return Life(("No worker holds the job.",), "")
    if job.state not in LEASED:
        if not job.attempt:
            return Life(("No worker has held the job.",), "")
        by = f" was the last, by {job.worker}" if job.worker else " was the last"
        return Life((f"Attempt {job.attempt} of {job.max_attempts}{by}.",), "")
    if why is None:
        return Life((f"{worker} holds the job.",), "")
    if job.state is JobState.CANCELLING and why.until is not None:
        begins = (
            f"{worker} has been asked to stop. If it neither answers nor renews its lease, the job is cancelled in "
        )
        return Life((begins, why.until, "."), "warn")
    if why.until is not None and why.until <= moment:
        return Life((why.detail,), "bad")
    return Life((why.detail,), "ok" if why.reason is None else "warn")


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
        ("completed", "completed", counts.processed, True),
        ("failed", "failed", counts.failed, True),
        ("skipped", "skipped", counts.skipped, False),
        (left, "in work or queued" if job.state in LEASED else left, total - counts.done, not job.terminal),
    )
    segments, start = [], 0
    for status, name, count, always in known:
        # The smallest part is seen as well: one failed file of a million is what the reader looks for.
        width = max(round(1000 * count / total), 4) if count else 0
        start = min(start, 1000 - width)
        segments.append(Segment(status, name, count, start, width, always or count > 0))
        start += width
    return tuple(segments)


def _by_progress(job: Job) -> tuple[Segment, ...]:
    status = {JobState.COMPLETED: "completed", JobState.FAILED: "failed", JobState.EXPIRED: "failed"}
    kind = status.get(job.state, "cancelled" if job.terminal else "processing")
    return (Segment(kind, "", 0, 0, round(10 * job.progress), False),)
