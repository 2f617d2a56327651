"""Pure functions that convert from the domain to Immuta's models."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from app.dialects.immuta import wire
from app.domain.answers import Include
from app.domain.errors import InvalidError, JobtrackError
from app.domain.field_error import FieldError
from app.domain.job import Job
from app.domain.principal import Principal
from app.domain.states import JobState
from app.web.errors import MAX_FIELD_ERRORS, status_of

STATES: Final[dict[JobState, wire.State]] = {
    JobState.PENDING: "created",
    JobState.DISPATCHED: "active",
    JobState.RUNNING: "active",
    JobState.RETRYING: "retry",
    # pg-boss has no state for a cancellation in progress; `cancelled` is terminal and would be premature.
    JobState.CANCELLING: "active",
    JobState.COMPLETED: "completed",
    JobState.COMPLETED_WITH_FAILURES: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.EXPIRED: "expired",
}
"""The vendor's status for each state; the table in docs/dialects.md is generated from it."""

# Keys that never expire need a date too. Not the year 9999: adding a time zone to it overflows in clients.
NEVER: Final = datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)


OUTPUT: Final = Include(result=True, as_text=True)
"""What a job's output is made of: a document, written as text."""


def statuses(jobs: Iterable[Job]) -> dict[str, wire.JobStatus]:
    """Return the response: an object keyed by job id."""
    return {str(job.id): _status(job) for job in jobs}


def _status(job: Job) -> wire.JobStatus:
    # Only an ended job has a result, and what is shown of a failed one needs none.
    if job.documents is None and job.terminal and job.failure is None:
        return wire.JobStatusWithoutOutput(id=str(job.id), state=STATES[job.state], output=None, output_omitted=True)
    return wire.JobStatus(id=str(job.id), state=STATES[job.state], output=output_of(job))


def output_of(job: Job) -> str | None:
    """Return a job's output as text: the documented type is a string, though the vendor's queue stores any JSON."""
    if job.failure is not None:
        return _text({"error": asdict(job.failure)})
    result = None if job.documents is None else job.documents.result
    if job.state is JobState.COMPLETED_WITH_FAILURES:
        # The vendor's status is `completed`, so only the output can show the failures.
        return _text({"result": result, "counts": asdict(job.counts)})
    if result is None or isinstance(result, str):
        return result
    return _text(result)


def _text(value: Any) -> str:
    """Write compact JSON without escaping non-ASCII characters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def authenticated(principal: Principal, key: str) -> wire.Authenticated:
    """Return the response to a log-in with a valid key."""
    expires_at = (principal.expires_at or NEVER).astimezone(UTC)
    return wire.Authenticated(
        authenticated=True,
        token=key,
        token_expiration=expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def error_body(error: JobtrackError) -> wire.ErrorBody:
    """Return an error in the vendor's format; for an invalid payload it lists the fields."""
    code = status_of(error)
    phrase = HTTPStatus(code).phrase
    # Python 3.13 renamed the phrase of 422; the vendor's server sends the old one.
    phrase = "Unprocessable Entity" if code == 422 else phrase
    if isinstance(error, InvalidError):
        fields = error.errors[:MAX_FIELD_ERRORS] or (FieldError("", "invalid", error.message),)
        problems = [wire.Problem(code=e.code, path=e.pointer, message=e.message) for e in fields]
        return wire.InvalidBody(status_code=code, error=phrase, message=error.message, validation=problems)
    return wire.ErrorBody(status_code=code, error=phrase, message=error.message)
