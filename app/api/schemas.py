"""What the native API answers. These models describe; `app.api.render` writes, and the tests hold the two together.

No field has a default: a reader can rely on every one. Statuses are open sets: ignore values that you do not know.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.domain.item import ItemStatus
from app.domain.states import JobState


def _open(schema: dict[str, Any]) -> None:
    schema.pop("additionalProperties", None)


class Answer(BaseModel):
    """What every answer shares. The models are closed, for the tests; the document is open: fields may be added."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_open)


class CountsOut(Answer):
    """How many items the job has, and how many ended in which way."""

    total: int
    processed: int = Field(description="Items that were completed.")
    failed: int
    skipped: int


class EtaOut(Answer):
    """Estimated seconds until the job is done."""

    seconds: float
    low_seconds: float
    high_seconds: float


class FailureOut(Answer):
    """Why the job, or its latest attempt, failed."""

    code: str
    message: str


class JobSummary(Answer):
    """A job as lists, waits and answers to workers show it: without its large parts."""

    id: str = Field(description="A UUIDv7 in lower case.", json_schema_extra={"format": "uuid"})
    type: str
    queue: str
    engine: str | None
    collection: str | None
    status: JobState
    stage: str | None
    progress: float = Field(ge=0, le=100)
    counts: CountsOut
    message: str | None
    eta: EtaOut | None
    error: FailureOut | None
    labels: dict[str, str]
    priority: int
    attempt: int
    max_attempts: int
    original_job_id: str | None
    worker: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    status_changed_at: datetime
    scheduled_at: datetime
    expires_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None
    cancelled_by: str | None


class JobDetail(JobSummary):
    """A job with its payload, result and billing."""

    payload: Any
    result: Any
    billing: Any


class JobInWait(JobSummary):
    """A job in a wait: the large parts only where `include` asked for them."""

    payload: Any = None
    result: Any = None
    billing: Any = None


class JobList(Answer):
    """A page of jobs, newest first. Only a null `next_cursor` is the end."""

    jobs: list[JobInWait]
    next_cursor: str | None


class BulkResult(Answer):
    """What one call about many jobs came to."""

    matched: int = Field(description="Jobs that this call looked at and that fit.")
    changed: int = Field(description="Those of them that it changed; 0 in a dry run.")
    dry_run: bool
    next_cursor: str | None = Field(description="Where the next call goes on; null at the end.")


class LeaseOut(Answer):
    """The right to write to a job."""

    token: str = Field(json_schema_extra={"format": "uuid"})
    expires_in_seconds: float | None = Field(description="Null: the lease has no end.")


class InputOut(Answer):
    """What was stored as a job's input."""

    content_type: str
    size_bytes: int
    sha256: str = Field(description="In lower-case hexadecimal.")


class LeaseLeft(Answer):
    """What is left of a lease."""

    expires_in_seconds: float | None


class JobCreated(JobDetail):
    """A new job; `lease` is null unless it was created already claimed."""

    lease: LeaseOut | None


class ClaimedJobOut(JobDetail):
    """A job that was handed out, with what its last attempt left behind."""

    lease: LeaseOut
    checkpoint: Any


class Claimed(Answer):
    """The jobs that a claim got; empty when there was no work."""

    jobs: list[ClaimedJobOut]


class Waited(Answer):
    """The states of the jobs that exist, in the order asked, and the ids that do not."""

    jobs: list[JobInWait]
    not_found: list[str]


class ItemOut(Answer):
    """One item of a job."""

    id: str = Field(description="`<job id>.<key>`.")
    key: str
    name: str | None
    uri: str | None
    status: ItemStatus
    stage: str | None
    message: str | None
    error_code: str | None
    error_message: str | None
    skip_reason: str | None
    size_bytes: int | None
    result: Any
    updated_at: datetime


class ItemList(Answer):
    """A page of items, in the order in which they were first reported. Only a null `next_cursor` is the end."""

    items: list[ItemOut]
    next_cursor: str | None


class ReportedOut(Answer):
    """What a report is told."""

    status: JobState
    cancel_requested: bool = Field(description="Stop, and acknowledge by releasing the job.")
    lease: LeaseLeft


class FieldProblem(Answer):
    """One thing wrong with one place."""

    pointer: str = Field(description="A JSON Pointer into the body, or `?name` for a query parameter.")
    code: str
    message: str


class Problem(Answer):
    """What went wrong (RFC 9457). Programs switch on `code`."""

    type: str = Field(json_schema_extra={"format": "uri-reference"})
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    instance: str = Field(default="", description="The id of the request.")
    errors: list[FieldProblem] = Field(default=[])
    job: JobSummary | None = Field(default=None, description="On 409: the job as it is.")


class ReportResult(Answer):
    """What became of one row of a batch: an `outcome` or a `problem`."""

    job_id: str | None
    outcome: ReportedOut | JobSummary | None = None
    problem: Problem | None = None


class ReportResults(Answer):
    """The results of a batch, in the order sent."""

    results: list[ReportResult]


class CreateResult(Answer):
    """What became of one row of a batch: a `job` or a `problem`."""

    job: JobCreated | None = None
    problem: Problem | None = None


class CreateResults(Answer):
    """The results of a batch, in the order sent."""

    results: list[CreateResult]


class Alive(Answer):
    """The process is there, and ready where it says so."""

    status: Literal["ok"]
