"""The bodies of queues."""

from datetime import datetime

from pydantic import Field

from app.api.fields import MAX_BIGINT, Body
from app.api.wire import Answer, RetryIn
from app.domain.job import Retry
from app.domain.queue import QueueRules


class RetentionIn(Body):
    """How long ended jobs are kept."""

    seconds: int = Field(ge=60, le=MAX_BIGINT // 1_000_000)


class QueueIn(Body):
    """What is to be set. What is left out, or null, is the service's own default."""

    paused: bool = False
    concurrency_limit: int | None = Field(
        default=None, ge=1, le=1_000_000, description="The most jobs that workers hold at once; null: any number."
    )
    retry: RetryIn | None = Field(default=None, description="For jobs that are created without their own.")
    retention: RetentionIn | None = Field(default=None, description="Null: ended jobs are kept for ever.")

    def to_domain(self) -> QueueRules:
        """Say it in the domain's words."""
        retry = self.retry
        return QueueRules(
            paused=self.paused,
            concurrency_limit=self.concurrency_limit,
            retry=Retry(retry.delay_seconds, retry.factor, retry.max_delay_seconds) if retry else None,
            retention_seconds=self.retention.seconds if self.retention else None,
        )


class RetryOut(Answer):
    """How long a failed job rests."""

    delay_seconds: float
    factor: float
    max_delay_seconds: float


class RetentionOut(Answer):
    """How long ended jobs are kept."""

    seconds: int


class DepthOut(Answer):
    """The live jobs of a queue by status; at most 10,000 of each are counted."""

    pending: int
    dispatched: int
    running: int
    retrying: int
    cancelling: int


class RatesOut(Answer):
    """What came and what ended in the last minute."""

    created_per_minute: int
    ended_per_minute: int


class QueueOut(Answer):
    """A queue."""

    name: str
    paused: bool
    concurrency_limit: int | None
    retry: RetryOut | None
    retention: RetentionOut | None
    depth: DepthOut
    oldest_waiting_seconds: float | None = Field(description="How long the first job to be handed out has been due.")
    rates: RatesOut
    created_at: datetime
    updated_at: datetime


class QueueList(Answer):
    """A page of queues. Only a null `next_cursor` is the end."""

    queues: list[QueueOut]
    next_cursor: str | None
