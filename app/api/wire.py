"""The vocabulary that all of the native API shares: a job, its lease, and problems.

These models describe responses; `translate` writes them, and the tests hold the two together. No field has a default:
a reader can rely on every one. Statuses are open sets: ignore values that you do not know.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.api.fields import ROUNDED, Body
from app.domain.states import JobState


def _open(schema: dict[str, Any]) -> None:
    schema.pop("additionalProperties", None)


class Answer(BaseModel):
    """Base of all responses. The models are closed, for the tests; the document is open, since fields may be added."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_open)


class CountsOut(Answer):
    """Number of items, in total and by outcome."""

    total: int
    processed: int = Field(description="Completed items.")
    failed: int
    skipped: int


class EtaOut(Answer):
    """Estimated seconds until the job is done."""

    seconds: float
    low_seconds: float
    high_seconds: float


class FailureOut(Answer):
    """Reason why the job, or its latest attempt, failed."""

    code: str
    message: str


class JobSummary(Answer):
    """A job without its large fields, as in lists, waits and responses to workers."""

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
    expected_seconds: int | None = Field(description="How long an attempt should take, as the job or its queue says.")
    overdue: bool = Field(
        description="Whether the latest attempt took longer than `expected_seconds`. The next attempt clears it."
    )


class JobDetail(JobSummary):
    """A job with its payload, result and billing."""

    payload: Any
    result: Any
    billing: Any


class LeaseOut(Answer):
    """The right to write to a job."""

    token: str = Field(json_schema_extra={"format": "uuid"})
    expires_in_seconds: float | None = Field(description="Null: the lease does not expire.")


class FieldProblem(Answer):
    """An error in one field of a request."""

    pointer: str = Field(description="A JSON Pointer into the body, or `?name` for a query parameter.")
    code: str
    message: str


class Problem(Answer):
    """An error (RFC 9457). Branch on `code`."""

    type: str = Field(json_schema_extra={"format": "uri-reference"})
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    instance: str = Field(default="", description="The id of the request.")
    errors: list[FieldProblem] = Field(default=[])
    job: JobSummary | None = Field(default=None, description="On 409: the current job, for keys with `read`.")


class RetryIn(Body):
    """Delay before the next attempt: `delay_seconds * factor ** (attempt - 1)`, with full jitter."""

    delay_seconds: Annotated[float, Field(ge=0, le=86_400), ROUNDED] = 1.0
    factor: float = Field(default=2.0, ge=1, le=100)
    max_delay_seconds: Annotated[float, Field(ge=0, le=604_800), ROUNDED] = 600.0
