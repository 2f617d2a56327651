"""Jobs, leases and problems as documents, written by hand from domain objects.

Validating what the service itself has made would cost more than reading it did. The models of `wire` say what comes
out; tests compare.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from app.domain.answers import Include
from app.domain.errors import ConflictError, JobtrackError
from app.domain.job import Documents, Job, Lease
from app.domain.json_text import JsonText
from app.domain.principal import Principal, Scope
from app.web.problems import problem_document

LARGE = frozenset({"payload", "result", "billing"})
"""The parts of a job that an answer leaves out unless it is asked for them."""


@lru_cache(maxsize=4_096)
def time_text(moment: datetime | None) -> str | None:
    """Write a time as RFC 3339 in UTC, always with milliseconds, so that texts sort as the times do.

    Remembered, because most times of a batch are the same moment.
    """
    if moment is None:
        return None
    text = moment.isoformat(timespec="milliseconds")
    if not text.endswith("+00:00"):
        text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text[:-6] + "Z"


def job_document(job: Job, include: Collection[str] = ()) -> dict[str, Any]:
    """Describe a job; of payload, result and billing only what `include` names."""
    counts, eta, error = job.counts, job.eta, job.error
    document: dict[str, Any] = {
        "id": str(job.id),
        "type": job.type,
        "queue": job.queue,
        "engine": job.engine,
        "collection": job.collection,
        "status": job.state.value,
        "stage": job.stage,
        "progress": job.progress,
        "counts": {
            "total": counts.total,
            "processed": counts.processed,
            "failed": counts.failed,
            "skipped": counts.skipped,
        },
        "message": job.message,
        "eta": eta and {"seconds": eta.seconds, "low_seconds": eta.low_seconds, "high_seconds": eta.high_seconds},
        "error": error and {"code": error.code, "message": error.message},
        "labels": job.labels,
        "priority": job.priority,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "original_job_id": str(job.original_job_id) if job.original_job_id else None,
        "worker": job.worker,
        "version": job.version,
        "created_at": time_text(job.created_at),
        "updated_at": time_text(job.updated_at),
        "status_changed_at": time_text(job.status_changed_at),
        "scheduled_at": time_text(job.scheduled_at),
        "expires_at": time_text(job.expires_at),
        "started_at": time_text(job.started_at),
        "completed_at": time_text(job.completed_at),
        "cancelled_at": time_text(job.cancelled_at),
        "cancelled_by": job.cancelled_by,
        "expected_seconds": job.expected_seconds,
        "overdue": job.overdue,
    }
    if include:
        documents = job.documents or Documents()
        large = {"payload": documents.payload, "result": documents.result, "billing": documents.billing}
        document |= {name: parsed(value) for name, value in large.items() if name in include}
    return document


def parsed(value: Any) -> Any:
    """Return a JSON value as it is when it was read, also one that is kept as text."""
    return from_json(value.text) if isinstance(value, JsonText) else value


def included(names: Collection[str]) -> Include | None:
    """Return which documents to read for an answer that shows the large fields with these names; None for none."""
    return Include(**dict.fromkeys(names, True)) if names else None


def render_summary(job: Job) -> bytes:
    """Write a job without its large parts."""
    return to_json(job_document(job))


def render_detail(job: Job) -> bytes:
    """Write a job with its large parts."""
    return to_json(job_document(job, LARGE))


def lease_document(lease: Lease) -> dict[str, Any]:
    """Describe a lease with its token."""
    return {"token": str(lease.token), "expires_in_seconds": lease.expires_in_seconds}


def job_of(error: JobtrackError, caller: Principal | None) -> dict[str, Any] | None:
    """Describe the job that a conflict carries, for a caller that could read it."""
    if not isinstance(error, ConflictError) or error.job is None:
        return None
    return job_document(error.job) if caller is not None and caller.may(Scope.READ) else None


def error_document(error: JobtrackError, caller: Principal) -> dict[str, Any]:
    """Describe an error of one row of a batch."""
    return problem_document(error, None, job_of(error, caller))
