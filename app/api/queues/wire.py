"""The bodies of queues."""

from datetime import datetime
from typing import Annotated, Final, Self, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.api.fields import MAX_BIGINT, Body, ExpectedSeconds, Time
from app.api.wire import Answer, RetryIn
from app.domain.job import Retry
from app.domain.queue import Pause, QueueRules
from app.web.params import WHOLE

MIN_RETENTION_SECONDS = 60


def _is_kept(seconds: int) -> int:
    if 0 < seconds < MIN_RETENTION_SECONDS:
        raise PydanticCustomError("retention", f"This should be 0, for ever, or at least {MIN_RETENTION_SECONDS}.")
    return seconds


KeptSeconds: TypeAlias = Annotated[int, Field(ge=0, le=MAX_BIGINT // 1_000_000), WHOLE, AfterValidator(_is_kept)]


class RetentionIn(Body):
    """How long terminal jobs are kept: 60 seconds or more. Null: as long as the service's default says; 0: for ever."""

    seconds: KeptSeconds | None = Field(default=None, description="Of all but failed and expired jobs.")
    failed_seconds: KeptSeconds | None = Field(default=None, description="Of failed and expired jobs.")


Reason: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
_REASON: Final = "Why the queue is paused, for people."
_UNTIL: Final = "When the queue resumes by itself. Null: it does not; a time that has passed: it is not paused."


class PauseIn(Body):
    """Why a queue is paused, and until when; optional."""

    reason: Reason | None = Field(default=None, description=_REASON)
    until: Time | None = Field(default=None, description=_UNTIL)

    def to_domain(self) -> Pause:
        """Return this in the domain's terms."""
        return _pause(self.reason, self.until)


def _pause(reason: str | None, until: datetime | None) -> Pause:
    # As exact as it is shown, so that who puts back what it has read changes nothing.
    return Pause(reason=reason, until=until and until.replace(microsecond=until.microsecond // 1000 * 1000))


class QueueIn(Body):
    """Rules of a queue. An omitted or null rule takes the service's default."""

    paused: bool = False
    reason: Reason | None = Field(default=None, description=f"{_REASON} Only where `paused` is true.")
    until: Time | None = Field(default=None, description=f"{_UNTIL} Only where `paused` is true.")
    concurrency_limit: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] | None = Field(
        default=None,
        description=(
            "Maximum number of jobs held at once: claims, creations with `claim` and reports after the lease ran out "
            "need a free place, also by id; jobs held already continue. Null: unlimited."
        ),
    )
    retry: RetryIn | None = Field(default=None, description="Default for jobs created without their own.")
    expected_seconds: ExpectedSeconds | None = Field(
        default=None, description="How long an attempt should take of jobs created without an own `expected_seconds`."
    )
    retention: RetentionIn | None = Field(default=None, description="Null: as long as the service's defaults say.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not self.paused and (self.reason is not None or self.until is not None):
            raise PydanticCustomError(
                "reason_without_pause", "`reason` and `until` are those of a pause: set `paused`."
            )
        return self

    def to_domain(self) -> QueueRules:
        """Return this in the domain's terms."""
        retry = self.retry
        return QueueRules(
            paused=self.paused,
            pause=_pause(self.reason, self.until) if self.paused else None,
            concurrency_limit=self.concurrency_limit,
            retry=Retry(retry.delay_seconds, retry.factor, retry.max_delay_seconds) if retry else None,
            expected_seconds=self.expected_seconds,
            retention_seconds=self.retention.seconds if self.retention else None,
            retention_failed_seconds=self.retention.failed_seconds if self.retention else None,
        )


class RetryOut(Answer):
    """Delay before the next attempt of a failed job."""

    delay_seconds: float
    factor: float
    max_delay_seconds: float


class RetentionOut(Answer):
    """How long terminal jobs are kept: 60 seconds or more. Null: as long as the service's default says; 0: for ever."""

    seconds: int | None
    failed_seconds: int | None


class DepthOut(Answer):
    """The live jobs of a queue by status; at most 10,000 of each are counted."""

    pending: int
    dispatched: int
    running: int
    retrying: int
    cancelling: int


class RatesOut(Answer):
    """Jobs created and jobs ended in the last minute."""

    created_per_minute: int
    ended_per_minute: int


class QueueOut(Answer):
    """A queue."""

    name: str
    paused: bool
    paused_at: datetime | None = Field(description="Null unless paused, and of a pause that an old version stored.")
    paused_by: str | None = Field(description="The name of the key that paused it.")
    reason: str | None = Field(description=_REASON)
    until: datetime | None = Field(description="When it resumes by itself.")
    concurrency_limit: int | None
    retry: RetryOut | None
    expected_seconds: int | None
    retention: RetentionOut | None
    depth: DepthOut
    due: int = Field(description="Pending and retrying jobs whose time has come.")
    scheduled: int = Field(description="Pending and retrying jobs that start later: a start in the future, or a retry.")
    held: int = Field(description="Jobs that workers hold, which `concurrency_limit` bounds.")
    oldest_waiting_seconds: float | None = Field(description="How long the next job to be claimed has been due.")
    oldest_waiting_id: str | None = Field(
        description="Id of the job that has been due for longest; `/v1/jobs/{id}/waiting` says why."
    )
    rates: RatesOut
    created_at: datetime | None = Field(description="Null if nothing is set for it and no job has used it of late.")
    updated_at: datetime | None


class QueueList(Answer):
    """A page of queues. Only a null `next_cursor` is the end."""

    queues: list[QueueOut]
    next_cursor: str | None
