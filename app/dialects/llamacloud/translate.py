"""Pure functions that convert between the domain and LlamaCloud's models."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from app.dialects.llamacloud import wire
from app.dialects.llamacloud.create_wire import BatchJobCreate, ClassifyConfig
from app.dialects.llamacloud.redaction import without_secrets
from app.domain.answers import Include
from app.domain.ids import new_id
from app.domain.item import CountedItems, Item, ItemStatus, NewItem
from app.domain.job import Job, NewJob
from app.domain.job_filter import CountedPage, JobFilter
from app.domain.states import JobState

STATES: Final[dict[JobState, wire.Status]] = {
    JobState.PENDING: "pending",
    JobState.DISPATCHED: "dispatched",
    JobState.RUNNING: "running",
    JobState.RETRYING: "running",
    # The vendor's cancel is immediate, and a cancelling job can end in no other state.
    JobState.CANCELLING: "cancelled",
    JobState.COMPLETED: "completed",
    JobState.COMPLETED_WITH_FAILURES: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.EXPIRED: "failed",
}
"""The vendor's status for each state; the table in docs/dialects.md is generated from it."""

ITEM_STATUSES: Final[dict[ItemStatus, wire.ItemStatus]] = {
    ItemStatus.QUEUED: "pending",
    ItemStatus.PROCESSING: "processing",
    ItemStatus.COMPLETED: "completed",
    ItemStatus.FAILED: "failed",
    ItemStatus.SKIPPED: "skipped",
    ItemStatus.CANCELLED: "cancelled",
}
FINISHED_ITEMS: Final = frozenset(ItemStatus) - {ItemStatus.QUEUED, ItemStatus.PROCESSING}

TYPES: Final[tuple[wire.JobType, ...]] = ("parse", "extract", "classify")
OTHER_TYPE: Final[wire.JobType] = "parse"
"""The type shown for a type that the vendor does not have."""

ORIGIN: Final = ("llamacloud", "batch")
"""The label of jobs created through this API: only their items have ids that the client assigned."""
NAMESPACE: Final = "temporal-namespace"
CONFIGURATION: Final = Include(payload=True)
"""Where the configuration of a batch is."""


def new_job(request: BatchJobCreate, namespace: str | None) -> NewJob:
    """Return the job that a request creates, without its credentials."""
    labels = dict([ORIGIN]) | ({NAMESPACE: namespace} if namespace else {})
    document = request.model_dump(mode="json", exclude_unset=True)
    return NewJob(
        id=new_id(),
        type="classify" if isinstance(request.job_config, ClassifyConfig) else "parse",
        collection=request.directory_id,
        payload={**document, "job_config": without_secrets(document["job_config"])},
        labels=labels,
        items=tuple(NewItem(key=item_id) for item_id in dict.fromkeys(request.item_ids or ())),
    )


def job_filter(
    status: wire.Status | None = None, job_type: wire.JobType | None = None, directory_id: str | None = None
) -> JobFilter:
    """Convert the list's query parameters to a filter; each value selects the jobs that are shown with it."""
    states = None if status is None else frozenset(state for state, word in STATES.items() if word == status)
    if job_type == OTHER_TYPE:
        others = frozenset(TYPES) - {OTHER_TYPE}
        return JobFilter(states=states, types_except=others, collection=directory_id)
    types = None if job_type is None else frozenset({job_type})
    return JobFilter(states=states, types=types, collection=directory_id)


def item_status(status: wire.ItemStatus | None) -> ItemStatus | None:
    """Return the domain's status of an item."""
    return next((ours for ours, word in ITEM_STATUSES.items() if word == status), None)


def job_type(job: Job) -> wire.JobType:
    """Return the vendor's name of a job's type."""
    return next((word for word in TYPES if word == job.type), OTHER_TYPE)


def batch_job(job: Job) -> wire.BatchJob:
    """Return a job as the vendor describes it."""
    error = job.failure or job.error
    return wire.BatchJob(
        id=str(job.id),
        job_type=job_type(job),
        project_id=str(job.project_id),
        status=STATES[job.state],
        total_items=job.counts.total,
        processed_items=job.counts.processed,
        failed_items=job.counts.failed,
        skipped_items=job.counts.skipped,
        created_at=timestamp(job.created_at),
        updated_at=timestamp(job.updated_at),
        started_at=timestamp_or_none(job.started_at),
        completed_at=timestamp_or_none(job.completed_at),
        effective_at=timestamp(job.status_changed_at),
        directory_id=job.collection,
        error_message=None if error is None else error.message,
        job_record_id=None,
        workflow_id=None,
    )


def job_status(job: Job) -> wire.BatchJobStatus:
    """Return a job with its progress."""
    return wire.BatchJobStatus(job=batch_job(job), progress_percentage=job.progress)


def job_list(page: CountedPage) -> wire.BatchJobList:
    """Return a page of jobs."""
    return wire.BatchJobList(items=[batch_job(job) for job in page.jobs], next_page_token=None, total_size=page.total)


def cancelled(job: Job) -> wire.BatchCancelled:
    """Return the outcome of a cancel."""
    status = STATES[job.state]
    message = "The job is cancelled." if status == "cancelled" else f"The job had ended already: it is {status}."
    return wire.BatchCancelled(job_id=str(job.id), status=status, processed_items=job.counts.processed, message=message)


def item_list(job: Job, page: CountedItems) -> wire.BatchItemList:
    """Return a page of a job's items."""
    return wire.BatchItemList(
        items=[batch_item(job, item) for item in page.items], next_page_token=None, total_size=page.total
    )


def batch_item(job: Job, item: Item) -> wire.BatchItem:
    """Return one item."""
    changed = timestamp(item.updated_at)
    return wire.BatchItem(
        item_id=item_id(job, item),
        item_name=item.name or item.key,
        status=ITEM_STATUSES[item.status],
        effective_at=changed,
        started_at=None,
        completed_at=changed if item.status in FINISHED_ITEMS else None,
        job_id=str(job.id),
        job_record_id=None,
        error_message=item.error_message,
        skip_reason=item.skip_reason,
    )


def item_id(job: Job, item: Item) -> str:
    """Return the id that the client uses: in batches the id that it assigned, whose uniqueness is up to the client."""
    return item.key if is_batch(job) else f"{job.id}.{item.key}"


def is_batch(job: Job) -> bool:
    """Whether a job was created through this API."""
    name, value = ORIGIN
    return job.labels.get(name) == value


def processing_results(
    name: str, items: Collection[Item], completed: Iterable[tuple[Job, Item]], kind: wire.JobType | None
) -> wire.ItemProcessingResults:
    """Return the results of the item `name`, newest first, of jobs of this kind if one is named.

    The item's display name is the newest that any job reported.
    """
    return wire.ItemProcessingResults(
        item_id=name,
        item_name=next((item.name for item in items if item.name), None) or next(iter(items)).key,
        processing_results=[_result(name, job, item) for job, item in completed if kind in (None, job_type(job))],
    )


def _result(name: str, job: Job, item: Item) -> wire.ProcessingResult:
    reported: Mapping[str, Any] = item.result if isinstance(item.result, dict) else {}
    payload = None if job.documents is None else job.documents.payload
    config = payload.get("job_config") if isinstance(payload, dict) else None
    # The client's strict mode requires an object here, of either kind.
    shown = config if isinstance(config, dict) else {}
    return wire.ProcessingResult(
        item_id=name,
        job_config=shown,
        job_type=job_type(job),
        output_s3_path=_text(reported, "output_s3_path") or item.uri or "",
        parameters_hash=_text(reported, "parameters_hash") or _hash(shown),
        processed_at=timestamp(item.updated_at),
        result_id=_text(reported, "result_id") or f"{job.id}.{item.key}",
        output_metadata=reported.get("output_metadata", item.result),
    )


def _text(reported: Mapping[str, Any], name: str) -> str | None:
    value = reported.get(name)
    return value if isinstance(value, str) else None


def _hash(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def split_item_id(text: str) -> tuple[str, str] | None:
    """Split `<job id>.<key>` into its parts; return None for anything else."""
    job_id, dot, key = text.partition(".")
    try:
        UUID(job_id)
    except ValueError:
        return None
    return (job_id, key) if dot and key else None


def timestamp(at: datetime) -> str:
    """Write a time in milliseconds with a `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timestamp_or_none(at: datetime | None) -> str | None:
    """Write a time, or return None if there is none."""
    return None if at is None else timestamp(at)
