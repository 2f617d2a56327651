"""From the domain to Fifth Element's words: pure functions."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from app.dialects.fifthelement import wire
from app.domain.errors import ConflictError, InvalidError, JobtrackError
from app.domain.job import Job
from app.domain.states import JobState
from app.web.errors import MAX_FIELD_ERRORS, status_of

STATES: Final[dict[JobState, wire.Status]] = {
    JobState.PENDING: "pending",
    JobState.DISPATCHED: "running",
    JobState.RUNNING: "running",
    # Nothing in the vendor's five words says "once more"; `failed` would end the documented loop too early.
    JobState.RETRYING: "running",
    JobState.CANCELLING: "running",
    JobState.COMPLETED: "completed",
    JobState.COMPLETED_WITH_FAILURES: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.EXPIRED: "failed",
}
"""The vendor's word for each state; the table of docs/dialects.md is made from it."""

NAMES: Final[dict[int, str]] = {
    400: "ValidationError",
    401: "UnauthorizedError",
    403: "ForbiddenError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    408: "RequestTimeoutError",
    413: "PayloadTooLargeError",
    415: "UnsupportedMediaTypeError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}
"""`ValidationError` is the vendor's; the others are ours, in its manner."""

USER_LABEL: Final = "x-user-identifier"
MAX_LABEL_LENGTH: Final = 255


def job_answer(job: Job) -> wire.JobAnswer:
    """Give a job in its envelope."""
    return wire.JobAnswer(
        data=wire.Job(
            id=job.id,
            type=job.type,
            status=STATES[job.state],
            progress=percent(job.progress),
            result=result_of(job),
            created_at=timestamp(job.created_at),
            completed_at=None if job.completed_at is None else timestamp(job.completed_at),
        ),
        error=None,
    )


def rerun_answer(job: Job, original_job_id: UUID) -> wire.RerunAnswer:
    """Give the job that a rerun made, in its envelope."""
    return wire.RerunAnswer(
        data=wire.RerunJob(
            id=job.id,
            type=job.type,
            status=STATES[job.state],
            original_job_id=original_job_id,
            created_at=timestamp(job.created_at),
        ),
        error=None,
    )


def labels_of(user_identifier: str) -> dict[str, str]:
    """Keep for whom a rerun was asked: the vendor's word for it has no home in a job but a label.

    The vendor never refuses a request for this header, so one that is too long for a label is left out.
    """
    return {USER_LABEL: user_identifier} if 0 < len(user_identifier) <= MAX_LABEL_LENGTH else {}


def result_of(job: Job) -> dict[str, Any] | None:
    """Give what the loop prints at the end: the result, or why there is none."""
    if job.failure is not None:
        return {"error": asdict(job.failure)}
    result = None if job.documents is None else job.documents.result
    shown = result if result is None or isinstance(result, dict) else {"value": result}
    if job.state is JobState.COMPLETED_WITH_FAILURES:
        # The vendor's word is `completed`, so this is the only place that can tell; ours therefore wins over a `counts`
        # of the worker's own.
        return {**(shown or {}), "counts": asdict(job.counts)}
    return shown


def percent(progress: float) -> int | float:
    """Write whole percents as whole numbers."""
    return int(progress) if float(progress).is_integer() else progress


def timestamp(at: datetime) -> str:
    """Write a time in whole seconds, cut and not rounded, so that no time is ever shown before it has come."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status_code(error: JobtrackError) -> int:
    """Give the HTTP status of an error. The vendor has neither 409 nor 422: what cannot be met is 400."""
    status = status_of(error)
    return 400 if status in {409, 422} else status


def error_answer(error: JobtrackError) -> wire.ErrorAnswer:
    """Give an error in the envelope."""
    details: dict[str, Any] = {"code": error.code}
    if isinstance(error, InvalidError):
        details["errors"] = [
            {"pointer": e.pointer, "code": e.code, "message": e.message} for e in error.errors[:MAX_FIELD_ERRORS]
        ]
    if isinstance(error, ConflictError) and error.job is not None:
        details["status"] = STATES[error.job.state]
    status = status_code(error)
    name = NAMES.get(status, NAMES[500 if status >= 500 else 400])
    return wire.ErrorAnswer(data=None, error=wire.Error(name=name, message=error.message, details=details))
