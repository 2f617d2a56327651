"""From the domain to Immuta's words: pure functions."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from app.dialects.immuta import wire
from app.domain.errors import FieldError, InvalidError, JobtrackError
from app.domain.job import Job
from app.domain.principal import Principal
from app.domain.states import JobState
from app.web.errors import MAX_FIELD_ERRORS, status_of

STATES: Final[dict[JobState, wire.State]] = {
    JobState.PENDING: "created",
    JobState.DISPATCHED: "active",
    JobState.RUNNING: "active",
    JobState.RETRYING: "retry",
    # pg-boss knows no cancel in progress; `cancelled` before the end would be a final word that is not true yet.
    JobState.CANCELLING: "active",
    JobState.COMPLETED: "completed",
    JobState.COMPLETED_WITH_FAILURES: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.EXPIRED: "expired",
}
"""The vendor's word for each state; the table of docs/dialects.md is made from it."""

# A date-time is promised for keys that never end too. Not the year 9999: adding a time zone to it overflows in clients.
NEVER: Final = datetime(2199, 12, 31, 23, 59, 59, tzinfo=UTC)


def statuses(jobs: Iterable[Job]) -> dict[str, wire.JobStatus]:
    """Give the answer: an object keyed by id."""
    return {str(j.id): wire.JobStatus(id=str(j.id), state=STATES[j.state], output=output_of(j)) for j in jobs}


def output_of(job: Job) -> str | None:
    """Give a job's output as text: the documented type is a string, though the vendor's queue stores any JSON."""
    if job.failure is not None:
        return _text({"error": asdict(job.failure)})
    result = None if job.documents is None else job.documents.result
    if job.state is JobState.COMPLETED_WITH_FAILURES:
        # The vendor's word is `completed`, so the output is the only place that can tell of the failures.
        return _text({"result": result, "counts": asdict(job.counts)})
    if result is None or isinstance(result, str):
        return result
    return _text(result)


def _text(value: Any) -> str:
    """Write JSON compactly, with letters of all languages as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def authenticated(principal: Principal, key: str) -> wire.Authenticated:
    """Give the answer to a log-in with a key that was checked."""
    ends = (principal.expires_at or NEVER).astimezone(UTC)
    return wire.Authenticated(
        authenticated=True,
        token=key,
        token_expiration=ends.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def error_body(error: JobtrackError) -> wire.ErrorBody:
    """Give an error in the vendor's shape; a bad payload also tells its places."""
    code = status_of(error)
    phrase = HTTPStatus(code).phrase
    # Python 3.13 renamed the phrase of 422; the vendor's server says what it has always been.
    phrase = "Unprocessable Entity" if code == 422 else phrase
    if isinstance(error, InvalidError):
        places = error.errors[:MAX_FIELD_ERRORS] or (FieldError("", "invalid", error.message),)
        problems = [wire.Problem(code=e.code, path=e.pointer, message=e.message) for e in places]
        return wire.InvalidBody(status_code=code, error=phrase, message=error.message, validation=problems)
    return wire.ErrorBody(status_code=code, error=phrase, message=error.message)
