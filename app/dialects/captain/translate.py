"""Pure functions that convert between the domain and Captain's models."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from pydantic import ValidationError

from app.dialects.captain import list_wire, wire, words
from app.dialects.captain.index_wire import IndexRequest
from app.domain.ids import new_id
from app.domain.item import Item
from app.domain.job import Job, JobFailure, NewJob
from app.domain.job_filter import CountedPage, JobFilter
from app.domain.states import JobState

STATES: Final[dict[JobState, words.Status]] = {
    JobState.PENDING: "pending",
    JobState.DISPATCHED: "running",
    JobState.RUNNING: "running",
    JobState.RETRYING: "running",
    # The vendor's cancel is immediate, and a cancelling job can end in no other state.
    JobState.CANCELLING: "cancelled",
    JobState.COMPLETED: "completed",
    JobState.COMPLETED_WITH_FAILURES: "completed_with_failures",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.EXPIRED: "failed",
}
"""The vendor's status for each state; the table in docs/dialects.md is generated from it."""

_SYNONYMS: Final[dict[list_wire.FilterStatus, words.Status]] = {
    "processing": "running",
    "completed_with_errors": "completed_with_failures",
}
"""Filter values that differ from the status they select; `timed_out` selects a part of the jobs shown as `failed`."""

STAGES: Final[dict[words.Stage, str]] = {
    "scanning": "Scanning bucket for files",
    "extracting": "Extracting text content from documents",
    "chunking": "Splitting documents into semantic chunks",
    "tagging": "AI tagging and summarization",
    "embedding": "Generating vector embeddings",
    "finalizing": "Aggregating results and recording billing",
    "cancelled": "Processing was cancelled",
}
"""The vendor's description of each stage."""

OTHER_TYPE: Final[words.JobType] = "index_s3"
"""The type shown for a type that the vendor does not have: the most common type of its jobs."""

TIMEOUT: Final = "timeout"
"""The error code of an expired job, which the vendor shows as failed."""

_BILLED: Final = frozenset({"completed", "completed_with_failures"})


def new_job(collection: str, source: str, request: IndexRequest | None) -> NewJob:
    """Return the job that indexes a source. Fields that may contain secrets are in its input, not in its payload."""
    options = {} if request is None else request.model_dump(mode="json", include=set(_OPTIONS), exclude_none=True)
    return NewJob(id=new_id(), type=type_of(source), collection=collection, payload={"source": source, **options})


_OPTIONS: Final = ("processing_type", "max_files", "skip_existing")


def type_of(source: str) -> str:
    """Return the type of the jobs that index a source."""
    return "index_" + source.replace("/", "_")


def job_type(job: Job) -> words.JobType:
    """Return the vendor's name of a job's type."""
    return next((word for word in get_args(words.JobType.__value__) if word == job.type), OTHER_TYPE)


def job_filter(
    status: list_wire.FilterStatus | None, collection: str | None, sync_id: str | None, environment: str | None
) -> JobFilter:
    """Convert the list's query parameters to a filter. A status selects the jobs that are shown with that status."""
    states = None
    if status == "timed_out":
        states = frozenset({JobState.EXPIRED})
    elif status is not None:
        shown = _SYNONYMS.get(status, status)
        states = frozenset(state for state, word in STATES.items() if word == shown)
    labels = [(name, value) for name, value in (("sync_id", sync_id), ("environment", environment)) if value]
    return JobFilter(states=states, collection=collection, or_no_collection=True, labels=tuple(labels))


def job_status(job: Job, files: Sequence[Item], *, limit: int, next_cursor: str | None) -> wire.JobStatusResponseV2:
    """Return a job with a page of its files."""
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
    """Return why a job failed; the code of an expired job is always `TIMEOUT`."""
    failure = job.failure
    if failure is not None and job.state is JobState.EXPIRED:
        return JobFailure(TIMEOUT, failure.message)
    return failure


def progress(job: Job) -> wire.JobProgress:
    """Return the progress of a job. Time is measured to the last change, so the result depends on the version only."""
    stage = next((word for word in get_args(words.Stage.__value__) if word == job.stage), None)
    return wire.JobProgress(
        current_stage=stage,
        stage_description=job.stage if stage is None else STAGES[stage],
        files_total=job.counts.total,
        files_processed=job.counts.processed,
        files_failed=job.counts.failed,
        files_skipped=job.counts.skipped,
        elapsed_seconds=_whole_seconds(job.updated_at - (job.started_at or job.updated_at)),
    )


def file_status(item: Item) -> wire.FileStatus:
    """Return one file; an item without a URI is identified by its key."""
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
    """Return the outcome of the files."""
    reported = None if job.documents is None else job.documents.result
    warnings = reported.get("warnings") if isinstance(reported, dict) else None
    ended = job.completed_at or job.updated_at
    return wire.JobResult(
        files_indexed=job.counts.processed,
        files_failed=job.counts.failed,
        files_skipped=job.counts.skipped,
        duration_seconds=_whole_seconds(ended - (job.started_at or ended)),
        warnings=[text for text in warnings if isinstance(text, str)] if isinstance(warnings, list) else [],
    )


def billing(job: Job) -> wire.JobBilling | None:
    """Return the bill, or None if any field is missing: the vendor's client fails on the whole response otherwise."""
    try:
        return wire.JobBilling.model_validate(None if job.documents is None else job.documents.billing, strict=True)
    except ValidationError:
        return None


def placeholder(job_id: str) -> wire.PlaceholderResponse:
    """Return the placeholder for a job that cannot be read at the moment."""
    return wire.PlaceholderResponse.model_validate({**wire.PLACEHOLDER, "job_id": job_id})


def cancelled(job: Job) -> wire.JobCancelResponseV2:
    """Return the outcome of a cancel."""
    status = STATES[job.state]
    message = "The job is cancelled." if status == "cancelled" else f"The job had ended already: it is {status}."
    return wire.JobCancelResponseV2(
        job_id=str(job.id), status=status, message=message, cancelled_at=timestamp_or_none(job.cancelled_at)
    )


def started(job: Job) -> wire.IndexJobResponseV2:
    """Return the response to the start of a job."""
    return wire.IndexJobResponseV2(job_id=str(job.id), status=STATES[job.state])


def job_list(page: CountedPage, *, limit: int, offset: int) -> list_wire.JobListResponse:
    """Return a page of jobs."""
    return list_wire.JobListResponse(
        jobs=[_listed(job) for job in page.jobs], total_count=page.total, limit=limit, offset=offset
    )


def _listed(job: Job) -> list_wire.JobListEntry:
    failure = failure_of(job)
    return list_wire.JobListEntry(
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


def _whole_seconds(duration: timedelta) -> int:
    """Return whole seconds, since the vendor's client fails on a fraction."""
    return max(0, int(duration.total_seconds()))


def timestamp(at: datetime) -> str:
    """Write a time in milliseconds with a `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timestamp_or_none(at: datetime | None) -> str | None:
    """Write a time, or return None if there is none."""
    return None if at is None else timestamp(at)
