"""The shapes that `job_calls` returns: pages, bulk changes, history, logs and input; see `models`."""

from __future__ import annotations

from typing import Any, TypedDict

from jobtrack_client.models import Job


class JobPage(TypedDict):
    """A page of jobs, newest first."""

    jobs: list[Job]
    next_cursor: str | None


class Waiting(TypedDict):
    """Why a live job does not go on, as of the answer; `reason` is None if it does, or has ended."""

    reason: str | None
    since: str | None
    until: str | None
    detail: str


class BulkResult(TypedDict):
    """The result of one bulk call."""

    matched: int
    changed: int
    dry_run: bool
    next_cursor: str | None


# In functional syntax, because `from` cannot be the name of a class attribute.
Event = TypedDict(
    "Event",
    {
        "id": str,
        "type": str,
        "job_id": str,
        "at": str,
        "attempt": int,
        "worker": "str | None",
        "from": "str | None",
        "to": str,
        "data": Any,
    },
)


class ItemErrors(TypedDict):
    """The failed items with one error code."""

    error_code: str
    count: int
    first_key: str
    message: str | None


class GroupedErrors(TypedDict):
    """The errors of a job's failed items by code; `is_complete` says whether all of them were counted."""

    errors: list[ItemErrors]
    counted: int
    is_complete: bool


class EventPage(TypedDict):
    """A page of a job's history."""

    events: list[Event]
    next_cursor: str | None


class StoredLogLine(TypedDict):
    """One log line as stored."""

    line: int
    at: str
    attempt: int
    level: str
    message: str


class LogPage(TypedDict):
    """Consecutive lines of a job's log; `ended` says that the job has ended and that no line follows."""

    logs: list[StoredLogLine]
    next_offset: int
    ended: bool


class StoredInput(TypedDict):
    """A description of the input that was stored for a job."""

    content_type: str
    size_bytes: int
    sha256: str
