"""Pure functions that convert from the domain to Fifth Element's models."""

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
    # None of the vendor's five statuses means a retry; `failed` would end the documented polling loop too early.
    JobState.RETRYING: "running",
    JobState.CANCELLING: "running",
    JobState.COMPLETED: "completed",
    JobState.COMPLETED_WITH_FAILURES: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.EXPIRED: "failed",
}
"""The vendor's status for each state; the table in docs/dialects.md is generated from it."""

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
"""`ValidationError` is the vendor's; the other names are ours, by the same pattern."""

USER_LABEL: Final = "x-user-identifier"
MAX_LABEL_LENGTH: Final = 255


def job_answer(job: Job) -> wire.JobAnswer:
    """Return a job in the envelope."""
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
    """Return the job created by a rerun, in the envelope."""
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
    """Return the label that records for whom a rerun was requested; a job has no field for it.

    The vendor never rejects a request because of this header, so a value that is too long for a label is dropped.
    """
    return {USER_LABEL: user_identifier} if 0 < len(user_identifier) <= MAX_LABEL_LENGTH else {}


def result_of(job: Job) -> dict[str, Any] | None:
    """Return what the documented loop prints at the end: the result, or the error of a failed job."""
    if job.failure is not None:
        return {"error": asdict(job.failure)}
    result = None if job.documents is None else job.documents.result
    shown = result if result is None or isinstance(result, dict) else {"value": result}
    if job.state is JobState.COMPLETED_WITH_FAILURES:
        # The vendor's status is `completed`, so only the result can show the failures; therefore our `counts` replaces
        # a `counts` that the worker reported.
        return {**(shown or {}), "counts": asdict(job.counts)}
    return shown


def percent(progress: float) -> int | float:
    """Return whole percentages as integers."""
    return int(progress) if float(progress).is_integer() else progress


def timestamp(at: datetime) -> str:
    """Write a time in whole seconds, truncated and not rounded, so that no time shown is in the future."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status_code(error: JobtrackError) -> int:
    """Return the HTTP status of an error. The vendor uses neither 409 nor 422, so both become 400."""
    status = status_of(error)
    return 400 if status in {409, 422} else status


def error_answer(error: JobtrackError) -> wire.ErrorAnswer:
    """Return an error in the envelope."""
    details: dict[str, Any] = {"code": error.code}
    if isinstance(error, InvalidError):
        details["errors"] = [
            {"pointer": e.pointer, "code": e.code, "message": e.message} for e in error.errors[:MAX_FIELD_ERRORS]
        ]
    if isinstance(error, ConflictError) and error.job is not None:
        details["status"] = STATES[error.job.state]
    status = status_code(error)
    name = NAMES.get(status, NAMES[500 if status >= 500 else 400])
    return wire.ErrorAnswer(data=None, error=wire.ErrorObject(name=name, message=error.message, details=details))
