"""Between the domain and Captain's words: pure functions."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from pydantic import ValidationError

from app.dialects.captain import wire
from app.dialects.captain.index_wire import IndexRequest
from app.domain.ids import new_id
from app.domain.item import Item
from app.domain.job import Job, JobFailure, NewJob
from app.domain.job_filter import CountedPage, JobFilter
from app.domain.states import JobState

STATES: Final[dict[JobState, wire.Status]] = {
    JobState.PENDING: "pending",
    JobState.DISPATCHED: "running",
    JobState.RUNNING: "running",
    JobState.RETRYING: "running",
    # The vendor's cancel is immediate, and nothing else can follow.
    JobState.CANCELLING: "cancelled",
    JobState.COMPLETED: "completed",
    JobState.COMPLETED_WITH_FAILURES: "completed_with_failures",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.EXPIRED: "failed",
}
"""The vendor's word for each state; the table of docs/dialects.md is made from it."""

_SYNONYMS: Final[dict[wire.FilterStatus, wire.Status]] = {
    "processing": "running",
    "completed_with_errors": "completed_with_failures",
}
"""The list's words for what the status calls otherwise; `timed_out` is a part of what is shown as `failed`."""

STAGES: Final[dict[wire.Stage, str]] = {
    "scanning": "Scanning bucket for files",
    "extracting": "Extracting text content from documents",
    "chunking": "Splitting documents into semantic chunks",
    "tagging": "AI tagging and summarization",
    "embedding": "Generating vector embeddings",
    "finalizing": "Aggregating results and recording billing",
    "cancelled": "Processing was cancelled",
}
"""The vendor's description of each stage."""

OTHER_TYPE: Final[wire.JobType] = "index_s3"
"""The nearest word for a type that the vendor does not know: the most common kind of its jobs."""

TIMEOUT: Final = "timeout"
"""The error code of a job that ran out of time, which the vendor shows as failed."""

_BILLED: Final = frozenset({"completed", "completed_with_failures"})


def new_job(collection: str, source: str, asked: IndexRequest | None) -> NewJob:
    """Make the job that indexes a source. What may hold secrets is in its input, not here."""
    told = {} if asked is None else asked.model_dump(mode="json", include=set(_TOLD), exclude_none=True)
    return NewJob(id=new_id(), type=type_of(source), collection=collection, payload={"source": source, **told})


_TOLD: Final = ("processing_type", "max_files", "skip_existing")


def type_of(source: str) -> str:
    """Name the type of the jobs that index a source."""
    return "index_" + source.replace("/", "_")


def job_type(job: Job) -> wire.JobType:
    """Give the vendor's word for a job's type."""
    return next((word for word in get_args(wire.JobType) if word == job.type), OTHER_TYPE)


def job_filter(
    status: wire.FilterStatus | None, collection: str | None, sync_id: str | None, environment: str | None
) -> JobFilter:
    """Turn a list's conditions into ours; each selects what is shown under its word."""
    states = None
    if status == "timed_out":
        states = frozenset({JobState.EXPIRED})
    elif status is not None:
        shown = _SYNONYMS.get(status, status)
        states = frozenset(state for state, word in STATES.items() if word == shown)
    labels = [(name, value) for name, value in (("sync_id", sync_id), ("environment", environment)) if value]
    return JobFilter(states=states, collection=collection, or_no_collection=True, labels=tuple(labels))


def job_status(job: Job, files: Sequence[Item], *, limit: int, next_cursor: str | None) -> wire.JobStatusResponseV2:
    """Give a job with a page of its files."""
    status, failure = STATES[job.state], failure_of(job)
    return wire.JobStatusResponseV2(
        job_id=str(job.id),
        status=status,
        collection_name=job.collection,
        job_type=job_type(job),
        progress_message=job.message,
        progress=None if job.state is JobState.PENDING else progress(job),
        files=[file_status(item) for item in files],
        files_page=wire.FilesPage(limit=limit, next_cursor=next_cursor, total_estimated=job.counts.total),
        result=result(job) if status in _BILLED or failure is not None else None,
        billing=billing(job) if status in _BILLED else None,
        error_code=None if failure is None else failure.code,
        error_message=None if failure is None else failure.message,
        cancelled_by=job.cancelled_by,
        cancelled_at=timestamp_or_none(job.cancelled_at),
        created_at=timestamp(job.created_at),
        updated_at=timestamp(job.updated_at),
        started_at=timestamp_or_none(job.started_at),
        completed_at=timestamp_or_none(job.completed_at),
        estimated_time_remaining_seconds=None if job.eta is None else math.ceil(job.eta.seconds),
    )


def failure_of(job: Job) -> JobFailure | None:
    """Say why a job failed; of one that ran out of time the code is one word."""
    failure = job.failure
    if failure is not None and job.state is JobState.EXPIRED:
        return JobFailure(TIMEOUT, failure.message)
    return failure


def progress(job: Job) -> wire.JobProgress:
    """Say how far a job is. The time is that of the last change, so that the answer depends on the version alone."""
    stage = next((word for word in get_args(wire.Stage) if word == job.stage), None)
    return wire.JobProgress(
        current_stage=stage,
        stage_description=job.stage if stage is None else STAGES[stage],
        files_total=job.counts.total,
        files_processed=job.counts.processed,
        files_failed=job.counts.failed,
        files_skipped=job.counts.skipped,
        elapsed_seconds=_whole(job.updated_at - (job.started_at or job.updated_at)),
    )


def file_status(item: Item) -> wire.FileStatus:
    """Give one file; an item without an address goes by its key."""
    return wire.FileStatus(
        uri=item.uri or item.key,
        status=item.status.value,
        stage=item.stage,
        progress_message=item.message,
        error_code=item.error_code,
        error_message=item.error_message or item.skip_reason,
        updated_at=timestamp(item.updated_at),
    )


def result(job: Job) -> wire.JobResult:
    """Say what became of the files."""
    said = None if job.documents is None else job.documents.result
    warnings = said.get("warnings") if isinstance(said, dict) else None
    ended = job.completed_at or job.updated_at
    return wire.JobResult(
        files_indexed=job.counts.processed,
        files_failed=job.counts.failed,
        files_skipped=job.counts.skipped,
        duration_seconds=_whole(ended - (job.started_at or ended)),
        warnings=[one for one in warnings if isinstance(one, str)] if isinstance(warnings, list) else [],
    )


def billing(job: Job) -> wire.JobBilling | None:
    """Give the bill whole, or none: one hole in it breaks the whole response in the vendor's client."""
    try:
        return wire.JobBilling.model_validate(None if job.documents is None else job.documents.billing, strict=True)
    except ValidationError:
        return None


def placeholder(job_id: str) -> wire.PlaceholderResponse:
    """Answer for a job that cannot be looked up just now."""
    return wire.PlaceholderResponse.model_validate({**wire.PLACEHOLDER, "job_id": job_id})


def cancelled(job: Job) -> wire.JobCancelResponseV2:
    """Say what a cancel came to."""
    status = STATES[job.state]
    message = "The job is cancelled." if status == "cancelled" else f"The job had ended already: it is {status}."
    return wire.JobCancelResponseV2(
        job_id=str(job.id), status=status, message=message, cancelled_at=timestamp_or_none(job.cancelled_at)
    )


def started(job: Job) -> wire.IndexJobResponseV2:
    """Answer the start of a job."""
    return wire.IndexJobResponseV2(job_id=str(job.id), status=STATES[job.state])


def job_list(page: CountedPage, *, limit: int, offset: int) -> wire.JobListResponse:
    """Give a page of jobs."""
    return wire.JobListResponse(
        jobs=[_listed(job) for job in page.jobs], total_count=page.total, limit=limit, offset=offset
    )


def _listed(job: Job) -> wire.JobListEntry:
    failure = failure_of(job)
    return wire.JobListEntry(
        job_id=str(job.id),
        status=STATES[job.state],
        job_type=job_type(job),
        collection_name=job.collection,
        environment=job.labels.get("environment"),
        created_at=timestamp(job.created_at),
        files_total=job.counts.total,
        files_indexed=job.counts.processed,
        files_failed=job.counts.failed,
        error=None if failure is None else failure.message,
    )


def _whole(length: timedelta) -> int:
    """Give whole seconds: a fraction breaks the vendor's client."""
    return max(0, int(length.total_seconds()))


def timestamp(at: datetime) -> str:
    """Write a time in milliseconds with a `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timestamp_or_none(at: datetime | None) -> str | None:
    """Write a time that may not have come."""
    return None if at is None else timestamp(at)
