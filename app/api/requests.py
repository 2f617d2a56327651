"""What producers and readers send: the bodies of create, rerun and wait."""

from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, WrapValidator, model_validator
from pydantic_core import PydanticCustomError

from app.api.fields import (
    MAX_BIGINT,
    MAX_INT,
    ROUNDED,
    AnyJson,
    Body,
    IdText,
    Labels,
    LeaseSeconds,
    Name,
    Size,
    Time,
    Uri,
)
from app.api.rows import MAX_ROWS, judge_alone
from app.domain.ids import new_id
from app.domain.item import NewItem
from app.domain.job import DEFAULT_LEASE_SECONDS, DEFAULT_MAX_ATTEMPTS, DEFAULT_QUEUE, Claim, NewJob, Retry


class RetryIn(Body):
    """How long a failed job rests: `delay_seconds * factor ** (attempt - 1)`, with full jitter, to a microsecond."""

    delay_seconds: Annotated[float, Field(ge=0, le=86_400), ROUNDED] = 1.0
    factor: float = Field(default=2.0, ge=1, le=100)
    max_delay_seconds: Annotated[float, Field(ge=0, le=604_800), ROUNDED] = 600.0


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
