"""How the native API writes its answers, by hand from domain objects to bytes.

Validating what the service itself has made would cost more than reading it did. The models of `app.api.schemas` say
what comes out; tests compare.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

from app.domain.errors import ConflictError, JobtrackError
from app.domain.item import Item
from app.domain.job import ClaimedJob, Created, Documents, Job, Lease
from app.domain.worker_call import Reported
from app.web.errors import problem_document, problem_response

RawHeader = tuple[bytes, bytes]
"""A header as ASGI has it: the name in lower case."""

LARGE = frozenset({"payload", "result", "billing"})
"""The parts of a job that an answer leaves out unless it is asked for them."""


def time_text(moment: datetime | None) -> str | None:
    """Write a time as RFC 3339 in UTC, always with milliseconds, so that texts sort as the times do."""
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
    }
    if include:
        documents = job.documents or Documents()
        document |= {name: getattr(documents, name) for name in ("payload", "result", "billing") if name in include}
    return document


def render_summary(job: Job) -> bytes:
    """Write a job without its large parts."""
    return to_json(job_document(job))


def render_detail(job: Job) -> bytes:
    """Write a job with its large parts."""
    return to_json(job_document(job, LARGE))


def lease_document(lease: Lease) -> dict[str, Any]:
    """Describe a lease with its token."""
    return {"token": str(lease.token), "expires_in_seconds": lease.expires_in_seconds}


def created_document(created: Created) -> dict[str, Any]:
    """Describe a job that was just made."""
    lease = lease_document(created.lease) if created.lease else None
    return {**job_document(created.job, LARGE), "lease": lease}


def claimed_document(claimed: ClaimedJob) -> dict[str, Any]:
    """Describe a job that is handed to a worker."""
    return {
        **job_document(claimed.job, LARGE),
        "lease": lease_document(claimed.lease),
        "checkpoint": claimed.checkpoint,
    }


def outcome_document(outcome: Reported | Job) -> dict[str, Any]:
    """Describe what a worker's call came to."""
    if isinstance(outcome, Job):
        return job_document(outcome)
    return {
        "status": outcome.state.value,
        "cancel_requested": outcome.cancel_requested,
        "lease": {"expires_in_seconds": outcome.lease.expires_in_seconds},
    }


def item_document(job_id: str, item: Item) -> dict[str, Any]:
    """Describe an item."""
    return {
        "id": f"{job_id}.{item.key}",
        "key": item.key,
        "name": item.name,
        "uri": item.uri,
        "status": item.status.value,
        "stage": item.stage,
        "message": item.message,
        "error_code": item.error_code,
        "error_message": item.error_message,
        "skip_reason": item.skip_reason,
        "size_bytes": item.size_bytes,
        "result": item.result,
        "updated_at": time_text(item.updated_at),
    }


def job_of(error: JobtrackError) -> dict[str, Any] | None:
    """Describe the job that a conflict carries."""
    return job_document(error.job) if isinstance(error, ConflictError) and error.job is not None else None


def error_document(error: JobtrackError) -> dict[str, Any]:
    """Describe an error of one row of a batch."""
    return problem_document(error, None, job_of(error))


def render_error(request: Request, error: JobtrackError) -> Response:
    """Answer with an error: the renderer of every native route."""
    return problem_response(request, error, job_of(error))


def json_bytes(body: bytes, headers: Iterable[RawHeader]) -> Response:
    """Answer with JSON that is written already. Put together by hand: on the busiest way there is."""
    response = Response.__new__(Response)
    response.status_code, response.background, response.body = 200, None, body
    response.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json"), *headers]
    return response


def not_modified(headers: Iterable[RawHeader]) -> Response:
    """Answer that the client knows already what there is."""
    response = Response.__new__(Response)
    response.status_code, response.background, response.body = 304, None, b""
    response.raw_headers = list(headers)
    return response


def json_response(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(to_json(document), status, headers, "application/json")
