"""The bodies of jobs, their items, inputs and waits: requests and responses."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, WrapValidator, model_validator
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from app.api.fields import (
    MAX_BIGINT,
    MAX_INT,
    Body,
    Document,
    ExpectedSeconds,
    IdText,
    Labels,
    LeaseSeconds,
    Name,
    NewQueue,
    NewType,
    Size,
    Time,
    Uri,
)
from app.api.rows import MAX_ROWS, judge_alone
from app.api.typed import typed
from app.api.wire import Answer, JobDetail, JobSummary, LeaseOut, Problem, RetryIn
from app.core.waits import EndedBy
from app.domain.ids import new_id
from app.domain.item import ItemStatus, NewItem
from app.domain.job import DEFAULT_LEASE_SECONDS, DEFAULT_MAX_ATTEMPTS, DEFAULT_QUEUE, Claim, NewJob, Retry
from app.web.params import WHOLE

MAX_CODES = 20
"""Error codes that a call may name."""


class ItemIn(Body):
    """An item known when the job is created."""

    key: Name
    name: Name | None = None
    uri: Uri | None = None
    size_bytes: Size | None = None


class ClaimIn(Body):
    """Create the job already claimed, for engines that run it themselves. Needs the scope `work` and a free place."""

    worker: Name
    lease_seconds: LeaseSeconds | None = Field(
        default=DEFAULT_LEASE_SECONDS, description="Null: no expiry; only for jobs with an `engine`."
    )


class JobIn(Body):
    """A job to create."""

    type: NewType
    queue: NewQueue = Field(
        default=DEFAULT_QUEUE,
        description="No part between slashes is `.` or `..`, and it does not end in `/pause` or `/resume`.",
    )
    engine: Name | None = Field(
        default=None, description="External system that runs the job; such a job can only be claimed by id."
    )
    collection: Name | None = None
    payload: Document = None
    priority: Annotated[int, Field(ge=-32_768, le=32_767), WHOLE] = Field(
        default=0, description="Higher values are claimed first."
    )
    scheduled_at: Time | None = Field(default=None, description="Earliest time of a claim; default: now.")
    expires_at: Time | None = Field(
        default=None, description="The job expires if it has not ended by then; null: never."
    )
    max_attempts: Annotated[int, Field(ge=1, le=1000), WHOLE] = DEFAULT_MAX_ATTEMPTS
    retry: RetryIn | None = None
    expected_seconds: ExpectedSeconds | None = Field(
        default=None,
        description="How long an attempt should take. One that is held longer makes the job `overdue`, once, with the "
        "event `job.overdue`; nothing else happens to it. Null: the queue's.",
    )
    labels: Labels = Field(default={})
    items: list[ItemIn] = Field(default=[], max_length=1000)
    claim: ClaimIn | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Check the rules that concern several fields."""
        if len({item.key for item in self.items}) < len(self.items):
            raise PydanticCustomError("duplicate_key", "Two items have the same key.")
        if self.scheduled_at and self.expires_at and self.expires_at <= self.scheduled_at:
            raise PydanticCustomError("expires_too_early", "`expires_at` must be later than `scheduled_at`.")
        if self.claim and self.claim.lease_seconds is None and self.engine is None:
            raise PydanticCustomError("lease_without_end", "Only a job with an `engine` has a lease without end.")
        return self

    def to_domain(self) -> NewJob:
        """Return the job in the domain's terms, with a new id."""
        retry = self.retry
        return NewJob(
            id=new_id(),
            type=self.type,
            queue=self.queue,
            engine=self.engine,
            collection=self.collection,
            payload=self.payload,
            priority=self.priority,
            scheduled_at=self.scheduled_at,
            expires_at=self.expires_at,
            max_attempts=self.max_attempts,
            retry=Retry(retry.delay_seconds, retry.factor, retry.max_delay_seconds) if retry else None,
            expected_seconds=self.expected_seconds,
            labels=dict(self.labels),
            items=tuple(NewItem(key=i.key, name=i.name, uri=i.uri, size_bytes=i.size_bytes) for i in self.items),
            claim=Claim(self.claim.worker, self.claim.lease_seconds) if self.claim else None,
        )


@typed
class JobsIn(Body):
    """Up to 1,000 jobs to create, each validated independently."""

    jobs: list[Annotated[JobIn, WrapValidator(judge_alone)]] = Field(min_length=1, max_length=MAX_ROWS)


class RerunIn(Body):
    """Options of a rerun; optional."""

    only_failed_items: bool = False
    error_codes: Annotated[list[Name], Field(min_length=1, max_length=MAX_CODES)] | None = Field(
        default=None, description="Only the failed items with one of these error codes."
    )


WaitUntil = TypeAliasType("WaitUntil", Literal["all", "any", "change"])
Version: TypeAlias = Annotated[int, Field(ge=0, le=MAX_BIGINT), WHOLE]


class Included(StrEnum):
    """A large field of a job, included only on request."""

    PAYLOAD = "payload"
    RESULT = "result"
    BILLING = "billing"


class WaitIn(Body):
    """A wait for up to 100 jobs. `wait: 0` reads them at once."""

    ids: list[IdText] = Field(min_length=1, max_length=100)
    until: WaitUntil = Field(
        default="all", description="Wait until all jobs end, any job ends, or a version differs from `versions`."
    )
    versions: Annotated[dict[IdText, Version], Field(max_length=100)] = Field(default={})
    wait: Annotated[int, Field(ge=-1, le=MAX_INT), WHOLE] = Field(
        default=0, description="Seconds; -1 waits without a limit."
    )
    include: list[Annotated[Included, Field(strict=False)]] = Field(default=[], max_length=3)


class JobInWait(JobSummary):
    """A job with the large fields named by `include`."""

    payload: Any = None
    result: Any = None
    billing: Any = None


class BulkResult(Answer):
    """Result of one bulk call."""

    matched: int = Field(description="Number of jobs examined by this call that match.")
    changed: int = Field(description="Number of matching jobs changed; 0 in a dry run.")
    busy: int = Field(description="Number of matching jobs left out because another call or transaction held them.")
    dry_run: bool
    next_cursor: str | None = Field(description="Cursor for the next call; null at the end.")


class InputOut(Answer):
    """Metadata of a stored input."""

    content_type: str
    size_bytes: int
    sha256: str = Field(description="In lower-case hexadecimal.")


class JobCreated(JobDetail):
    """A new job; `lease` is null unless it was created already claimed."""

    lease: LeaseOut | None


class Waited(Answer):
    """The jobs that exist, in the order of the request, and the ids that do not."""

    jobs: list[JobInWait]
    not_found: list[str]
    ended_by: EndedBy = Field(
        description="Why the wait ended: the condition holds, its time is over, or the service is shutting down. A "
        "`wait` of 0 ends by `timeout` unless the condition holds."
    )
    documents_omitted: list[str] = Field(
        description="Jobs without the fields of `include`, for which the response had no room: read these again, fewer "
        "at a time. The first job always has its own."
    )


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


class CreateResult(Answer):
    """Result of one row: a `job` or a `problem`."""

    job: JobCreated | None = None
    problem: Problem | None = None


class CreateResults(Answer):
    """Results of a batch, in the order of the request."""

    results: list[CreateResult]
    documents_omitted: list[str] = Field(
        description="Jobs of an earlier request whose payload, result and billing are null here for lack of room."
    )
