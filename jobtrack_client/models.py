"""The shapes on the wire, as typed views of plain dictionaries.

TypedDicts and not classes: nothing is copied or dropped, so a field that a newer service adds is
there for programs that know it, and a version of this file that does not know it still works. Times
are RFC 3339 text in UTC; everything that ends in `_seconds` is a duration in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, Required, TypedDict

Until = Literal["all", "any", "change"]


class Counts(TypedDict):
    """How many items of the job there are, and in which state; `processed` are the completed."""

    total: int
    processed: int
    failed: int
    skipped: int


class Eta(TypedDict):
    """Estimated seconds until the end, with the bounds of the estimate."""

    seconds: float
    low_seconds: float
    high_seconds: float


class Error(TypedDict):
    """Why a job failed."""

    code: str
    message: str


class Job(TypedDict):
    """A job; lists and waits leave out payload, result and billing unless asked for them."""

    id: str
    type: str
    queue: str
    collection: str | None
    status: str
    stage: str | None
    progress: float
    counts: Counts
    message: str | None
    eta: Eta | None
    payload: NotRequired[Any]
    result: NotRequired[Any]
    billing: NotRequired[Any]
    error: Error | None
    labels: dict[str, str]
    priority: int
    attempt: int
    max_attempts: int
    original_job_id: str | None
    worker: str | None
    engine: str | None
    version: int
    created_at: str
    updated_at: str
    status_changed_at: str
    scheduled_at: str
    expires_at: str | None
    started_at: str | None
    completed_at: str | None
    cancelled_at: str | None
    cancelled_by: str | None


class Lease(TypedDict):
    """The right to write to a job, for so many seconds from now; null: until it is finished."""

    token: NotRequired[str]
    expires_in_seconds: float | None


class ClaimedJob(Job):
    """A job that was handed out, with what its last attempt left behind."""

    lease: Lease
    checkpoint: Any


class ReportAnswer(TypedDict):
    """What the service says to a report: the state, what is left of the lease, and the cancel."""

    status: str
    cancel_requested: bool
    lease: Lease


class Item(TypedDict):
    """One file (or row, or page) of a job."""

    id: str
    key: str
    name: str | None
    uri: str | None
    status: str
    stage: str | None
    message: str | None
    error_code: str | None
    error_message: str | None
    skip_reason: str | None
    size_bytes: int | None
    result: Any
    updated_at: str


class ItemUpdate(TypedDict, total=False):
    """What a worker says about one item; fields that are left out stay as they are."""

    key: Required[str]
    name: str
    uri: str
    status: str
    stage: str
    message: str
    error_code: str
    error_message: str
    skip_reason: str
    size_bytes: int
    result: object


class ItemPage(TypedDict):
    """One page of items; `next_cursor` is null on the last."""

    items: list[Item]
    next_cursor: str | None


class LogLine(TypedDict, total=False):
    """One line of a job's log; `at` is when it was written, by default when it arrives."""

    level: Required[str]
    message: Required[str]
    at: str


class JobStates(TypedDict):
    """The answer of a wait over many jobs: those that exist, and the ids that do not."""

    jobs: list[Job]
    not_found: list[str]


class Report(TypedDict, total=False):
    """The body of a report; also, with `job_id` and `action`, one entry of a batch."""

    job_id: str
    action: Literal["report", "complete", "fail", "release"]
    token: str
    lease_seconds: int | None
    stage: str
    progress: float
    message: str
    items: Sequence[ItemUpdate]
    items_total: int
    logs: Sequence[LogLine]
    checkpoint: object
    result: object
    billing: object
    code: str
    retryable: bool
    retry_after_seconds: float


class ReportResult(TypedDict, total=False):
    """What became of one entry of a batch: an `outcome`, or a `problem`."""

    job_id: Required[str]
    outcome: Any
    problem: dict[str, Any]


def is_terminal(job: Job) -> bool:
    """Tell whether the job has ended, for better or worse.

    Read off `completed_at`, which is set exactly then, and not off a list of states: a state that a
    newer service knows would be missing from the list.
    """
    return job["completed_at"] is not None


class JobPage(TypedDict):
    """A page of jobs, newest first."""

    jobs: list[Job]
    next_cursor: str | None


class BulkResult(TypedDict):
    """What one call about many jobs came to."""

    matched: int
    changed: int
    dry_run: bool
    next_cursor: str | None


# `from` is no name for a field of a class.
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


class EventPage(TypedDict):
    """A page of a job's history."""

    events: list[Event]
    next_cursor: str | None


class StoredLogLine(TypedDict):
    """One line that a worker wrote."""

    line: int
    at: str
    attempt: int
    level: str
    message: str


class LogPage(TypedDict):
    """Some lines of a job's log."""

    logs: list[StoredLogLine]
    next_offset: int
    ended: bool


class StoredInput(TypedDict):
    """What was stored as a job's input."""

    content_type: str
    size_bytes: int
    sha256: str


class Queue(TypedDict):
    """A queue: what is set for it, and how it stands."""

    name: str
    paused: bool
    concurrency_limit: int | None
    retry: dict[str, float] | None
    retention: dict[str, int] | None
    depth: dict[str, int]
    oldest_waiting_seconds: float | None
    rates: dict[str, int]
    created_at: str
    updated_at: str


class QueuePage(TypedDict):
    """A page of queues by name."""

    queues: list[Queue]
    next_cursor: str | None


class KeyPage(TypedDict):
    """A page of keys, newest first."""

    keys: list[dict[str, Any]]
    next_cursor: str | None
