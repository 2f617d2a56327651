"""Between the domain and LlamaCloud's words: pure functions."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from app.dialects.llamacloud import wire
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
    # The vendor's cancel is immediate, and nothing else can follow.
    JobState.CANCELLING: "cancelled",
    JobState.COMPLETED: "completed",
    JobState.COMPLETED_WITH_FAILURES: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.EXPIRED: "failed",
}
"""The vendor's word for each state; the table of docs/dialects.md is made from it."""

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
"""The nearest word for a type that the vendor does not know."""

ORIGIN: Final = ("llamacloud", "batch")
"""The label of jobs that came in through this API: only their items go by ids of the client's own."""
NAMESPACE: Final = "temporal-namespace"

SAFE_TEXTS: Final = frozenset(
    {
        "correlation_id",
        "description",
        "id",
        "job_name",
        "lang",
        "languages",
        "mode",
        "parent_job_execution_id",
        "parse_mode",
        "preset",
        "priority",
        "project_id",
        "session_id",
        "status",
        "target_pages",
        "type",
        "user_id",
    }
)
"""The fields of a configuration whose texts anybody may read who may read jobs. In the others stand keys, addresses
with passwords, headers, prompts: more than any list of dangerous names could keep up with.
"""


def new_job(asked: wire.BatchJobCreate, namespace: str | None) -> NewJob:
    """Make the job that a creation asks for, without its credentials."""
    labels = dict([ORIGIN]) | ({NAMESPACE: namespace} if namespace else {})
    whole = asked.model_dump(mode="json", exclude_unset=True)
    return NewJob(
        id=new_id(),
        type="classify" if isinstance(asked.job_config, wire.ClassifyConfig) else "parse",
        collection=asked.directory_id,
        payload={**whole, "job_config": without_secrets(whole["job_config"])},
        labels=labels,
        items=tuple(NewItem(key=item_id) for item_id in dict.fromkeys(asked.item_ids or ())),
    )


def without_secrets(config: Any, name: str = "") -> Any:
    """Leave out every text of a configuration that is not known to be harmless, however deep."""
    if isinstance(config, dict):
        shown = {inner: without_secrets(value, inner) for inner, value in config.items()}
        return {inner: value for inner, value in shown.items() if value is not None or config[inner] is None}
    if isinstance(config, list):
        return [shown for value in config if (shown := without_secrets(value, name)) is not None]
    return None if isinstance(config, str) and name not in SAFE_TEXTS else config


def job_filter(
    status: wire.Status | None = None, job_type: wire.JobType | None = None, directory_id: str | None = None
) -> JobFilter:
    """Turn a list's conditions into ours; each selects what is shown under its word."""
    states = None if status is None else frozenset(state for state, word in STATES.items() if word == status)
    if job_type == OTHER_TYPE:
        others = frozenset(TYPES) - {OTHER_TYPE}
        return JobFilter(states=states, types_except=others, collection=directory_id)
    types = None if job_type is None else frozenset({job_type})
    return JobFilter(states=states, types=types, collection=directory_id)


def item_status(status: wire.ItemStatus | None) -> ItemStatus | None:
    """Find our status of an item."""
    return next((ours for ours, word in ITEM_STATUSES.items() if word == status), None)


def job_type(job: Job) -> wire.JobType:
    """Give the vendor's word for a job's type."""
    return next((word for word in TYPES if word == job.type), OTHER_TYPE)


def batch_job(job: Job) -> wire.BatchJob:
    """Give a job as a creation answers it."""
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
    """Give a job and how far it is."""
    return wire.BatchJobStatus(job=batch_job(job), progress_percentage=job.progress)


def job_list(page: CountedPage) -> wire.BatchJobList:
    """Give a page of jobs."""
    return wire.BatchJobList(items=[batch_job(job) for job in page.jobs], next_page_token=None, total_size=page.total)


def cancelled(job: Job) -> wire.BatchCancelled:
    """Say what a cancel came to."""
    status = STATES[job.state]
    message = "The job is cancelled." if status == "cancelled" else f"The job had ended already: it is {status}."
    return wire.BatchCancelled(job_id=str(job.id), status=status, processed_items=job.counts.processed, message=message)


def item_list(job: Job, page: CountedItems) -> wire.BatchItemList:
    """Give a page of a job's items."""
    return wire.BatchItemList(
        items=[batch_item(job, item) for item in page.items], next_page_token=None, total_size=page.total
    )


def batch_item(job: Job, item: Item) -> wire.BatchItem:
    """Give one item."""
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
    """Name an item as its client does: by the id it was created with, which is unique where the client makes it so."""
    return item.key if is_batch(job) else f"{job.id}.{item.key}"


def is_batch(job: Job) -> bool:
    """Whether a job came in through this API."""
    name, value = ORIGIN
    return job.labels.get(name) == value


def processing_results(
    asked: str, found: Collection[Item], done: Iterable[tuple[Job, Item]], wanted: wire.JobType | None
) -> wire.ProcessingResults:
    """Give what these jobs made of an item, newest first; the name is the newest that there is."""
    return wire.ProcessingResults(
        item_id=asked,
        item_name=next((item.name for item in found if item.name), None) or next(iter(found)).key,
        processing_results=[_result(asked, job, item) for job, item in done if wanted in (None, job_type(job))],
    )


def _result(asked: str, job: Job, item: Item) -> wire.ProcessingResult:
    said: Mapping[str, Any] = item.result if isinstance(item.result, dict) else {}
    payload = None if job.documents is None else job.documents.payload
    config = payload.get("job_config") if isinstance(payload, dict) else None
    # The client's strict mode wants an object here, of either kind.
    shown = config if isinstance(config, dict) else {}
    return wire.ProcessingResult(
        item_id=asked,
        job_config=shown,
        job_type=job_type(job),
        output_s3_path=_text(said, "output_s3_path") or item.uri or "",
        parameters_hash=_text(said, "parameters_hash") or _hash(shown),
        processed_at=timestamp(item.updated_at),
        result_id=_text(said, "result_id") or f"{job.id}.{item.key}",
        output_metadata=said.get("output_metadata", item.result),
    )


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) else None


def _hash(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def split_item_id(text: str) -> tuple[str, str] | None:
    """Take `<job id>.<key>` apart; None for anything else."""
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
    """Write a time that may not have come."""
    return None if at is None else timestamp(at)
