"""What the routes of the queues answer, described as `app.api.schemas` describes the rest."""

from datetime import datetime

from pydantic import Field

from app.api.schemas import Answer


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
