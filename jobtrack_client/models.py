"""The shapes on the wire as TypedDicts: jobs, items, and what workers send and receive.

They are TypedDicts rather than classes so that nothing is copied or dropped: a field that a newer service adds is
available to programs that know it, and this version, which does not, still works. Times are RFC 3339 text in UTC;
names that end in `_seconds` are durations in seconds. The shapes of lists and of administration are in `job_models`
and `admin_models`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, Required, TypedDict

Until = Literal["all", "any", "change"]
# A job with failed items did everything that it could; its owner decides whether that is enough.
SUCCEEDED = frozenset({"completed", "completed_with_failures"})


class Counts(TypedDict):
    """The number of the job's items, in total and by outcome; `processed` counts the completed ones."""

    total: int
    processed: int
    failed: int
    skipped: int


class Eta(TypedDict):
    """The estimated time until the end, with the bounds of the estimate."""

    seconds: float
    low_seconds: float
    high_seconds: float


class Error(TypedDict):
    """Why a job failed."""

    code: str
    message: str


class Job(TypedDict):
    """A job; lists and waits omit payload, result and billing unless `include` names them."""

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
    expected_seconds: int | None
    overdue: bool


class Lease(TypedDict):
    """The right to write to a job, for this many seconds from now; None: until the job is finished."""

    token: NotRequired[str]
    expires_in_seconds: float | None


class ReportAnswer(TypedDict):
    """The response to a report: the job's state, whether cancellation was requested, and what is left of the lease."""

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
    """An update of one item; omitted fields stay as they are."""

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
    """One page of items; `next_cursor` is None on the last one."""

    items: list[Item]
    next_cursor: str | None


class ClaimedJob(Job):
    """A claimed job, with its lease and the checkpoint of its last attempt, and with the first of its unfinished items
    if the claim includes `items`.
    """

    lease: Lease
    checkpoint: Any
    items: NotRequired[ItemPage]


class LogLine(TypedDict, total=False):
    """One line of a job's log; `at` is when it was written, by default the time at which it arrives."""

    level: Required[str]
    message: Required[str]
    at: str


class JobStates(TypedDict):
    """The response to a wait for several jobs: those that exist, the ids of those that do not, why it ended, and the
    jobs whose included fields it had no room for.
    """

    jobs: list[Job]
    not_found: list[str]
    ended_by: NotRequired[Literal["condition", "timeout", "shutdown"]]
    documents_omitted: NotRequired[list[str]]


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
    """The result of one entry of a batch: an `outcome` or a `problem`."""

    job_id: Required[str]
    outcome: Any
    problem: dict[str, Any]


class NextClaim(TypedDict, total=False):
    """Which jobs to claim with the end of an attempt, for the same worker: `queues`, `types` or both are required."""

    queues: Sequence[str]
    types: Sequence[str]
    max: int
    lease_seconds: int
    include: Sequence[str]


class WorkersNextClaim(NextClaim):
    """Which jobs to claim with a batch of reports, and for which worker."""

    worker: Required[str]


class EndedJob(Job):
    """The job whose attempt ended, and the jobs that were claimed with the call, if it carried a `claim`."""

    claimed: NotRequired[list[ClaimedJob]]


class ReportsAndClaim(TypedDict):
    """The results of a batch, and the jobs that were claimed with it."""

    results: list[ReportResult]
    claimed: list[ClaimedJob]


def is_terminal(job: Job) -> bool:
    """Return whether the job has ended, successfully or not.

    This reads `completed_at`, which is set exactly when a job ends. A list of terminal states would lack the
    states that a newer service adds.
    """
    return job["completed_at"] is not None


def has_succeeded(job: Job) -> bool:
    """Return whether the job has ended as completed, with or without failed items."""
    return job["status"] in SUCCEEDED
