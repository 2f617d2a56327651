"""The bodies of jobs, their items, inputs and waits: requests and responses."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, WrapValidator, model_validator
from pydantic_core import PydanticCustomError

from app.api.fields import MAX_BIGINT, MAX_INT, AnyJson, Body, IdText, Labels, LeaseSeconds, Name, Size, Time, Uri
from app.api.rows import MAX_ROWS, judge_alone
from app.api.wire import Answer, JobDetail, JobSummary, LeaseOut, Problem, RetryIn
from app.domain.ids import new_id
from app.domain.item import ItemStatus, NewItem
from app.domain.job import DEFAULT_LEASE_SECONDS, DEFAULT_MAX_ATTEMPTS, DEFAULT_QUEUE, Claim, NewJob, Retry


class ItemIn(Body):
    """An item that is known when the job is created."""

    key: Name
    name: Name | None = None
    uri: Uri | None = None
    size_bytes: Size | None = None


class ClaimIn(Body):
    """Create the job already claimed: for engines that run it themselves. Needs the scope `work`."""

    worker: Name
    lease_seconds: LeaseSeconds | None = Field(
        default=DEFAULT_LEASE_SECONDS, description="Null, a lease without end, is for jobs with an `engine`."
    )


class JobIn(Body):
    """A job to be made."""

    type: Name
    queue: Name = DEFAULT_QUEUE
    engine: Name | None = Field(default=None, description="Who runs it elsewhere; such a job is only claimed by id.")
    collection: Name | None = None
    payload: AnyJson = None
    priority: int = Field(default=0, ge=-32_768, le=32_767, description="Higher comes first.")
    scheduled_at: Time | None = Field(default=None, description="Not handed out before; default: now.")
    expires_at: Time | None = Field(default=None, description="Expired if it has not ended by then; null: never.")
    max_attempts: int = Field(default=DEFAULT_MAX_ATTEMPTS, ge=1, le=1000)
    retry: RetryIn | None = None
    labels: Labels = Field(default={})
    items: list[ItemIn] = Field(default=[], max_length=1000)
    claim: ClaimIn | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Check what no single field can know."""
        if len({item.key for item in self.items}) < len(self.items):
            raise PydanticCustomError("duplicate_key", "Two items have the same key.")
        if self.scheduled_at and self.expires_at and self.expires_at <= self.scheduled_at:
            raise PydanticCustomError("expires_too_early", "`expires_at` must be later than `scheduled_at`.")
        if self.claim and self.claim.lease_seconds is None and self.engine is None:
            raise PydanticCustomError("lease_without_end", "Only a job with an `engine` has a lease without end.")
        return self

    def to_domain(self) -> NewJob:
        """Say it in the domain's words, under a fresh id."""
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
            labels=dict(self.labels),
            items=tuple(NewItem(key=i.key, name=i.name, uri=i.uri, size_bytes=i.size_bytes) for i in self.items),
            claim=Claim(self.claim.worker, self.claim.lease_seconds) if self.claim else None,
        )


class JobsIn(Body):
    """Up to 1,000 jobs to be made, each judged alone."""

    jobs: list[Annotated[JobIn, WrapValidator(judge_alone)]] = Field(min_length=1, max_length=MAX_ROWS)


class RerunIn(Body):
    """How to rerun a job; may be left out."""

    only_failed_items: bool = False


Version: TypeAlias = Annotated[int, Field(ge=0, le=MAX_BIGINT)]


class Included(StrEnum):
    """A large part of a job that an answer leaves out unless it is asked for."""

    PAYLOAD = "payload"
    RESULT = "result"
    BILLING = "billing"


class WaitIn(Body):
    """A wait for up to 100 jobs. `wait: 0` reads them at once."""

    ids: list[IdText] = Field(min_length=1, max_length=100)
    until: Literal["all", "any", "change"] = Field(
        default="all", description="Until all or any have ended, or one differs from `versions`."
    )
    versions: Annotated[dict[IdText, Annotated[int, Field(ge=0, le=MAX_BIGINT)]], Field(max_length=100)] = Field(
        default={}
    )
    wait: int = Field(default=0, ge=-1, le=MAX_INT, description="Seconds; -1 waits without end.")
    include: list[Annotated[Included, Field(strict=False)]] = Field(default=[], max_length=3)


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


class InputOut(Answer):
    """What was stored as a job's input."""

    content_type: str
    size_bytes: int
    sha256: str = Field(description="In lower-case hexadecimal.")


class JobCreated(JobDetail):
    """A new job; `lease` is null unless it was created already claimed."""

    lease: LeaseOut | None


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


class CreateResult(Answer):
    """What became of one row of a batch: a `job` or a `problem`."""

    job: JobCreated | None = None
    problem: Problem | None = None


class CreateResults(Answer):
    """The results of a batch, in the order sent."""

    results: list[CreateResult]
