"""A queue: its rules, its depth and its rates."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from app.domain.job import Retry
from app.domain.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Who paused a queue, when and why, and when it resumes by itself. None where nobody said so, or it never does."""

    at: datetime | None = None
    by: str | None = None
    reason: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRules:
    """The settings of a queue. None means the service's default."""

    paused: bool = False
    """No job is claimed by queue or type; jobs that are held go on, and claims by id work."""
    pause: Pause | None = None
    """Of a queue that is paused; None where only that is known."""
    concurrency_limit: int | None = None
    """The most jobs of the queue that workers hold at once."""
    retry: Retry | None = None
    retention_seconds: int | None = None
    """How long ended jobs are kept; 0: for ever."""
    retention_failed_seconds: int | None = None
    """The same for jobs that failed or expired."""
    expected_seconds: int | None = None
    """How long an attempt of a job should take that says nothing itself."""


DAY_SECONDS: Final = 86_400
KEEP_DAYS: Final = 30
KEEP_FAILED_DAYS: Final = 90


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long ended jobs are kept whose queue has no rule; 0: for ever."""

    seconds: int = KEEP_DAYS * DAY_SECONDS
    failed_seconds: int = KEEP_FAILED_DAYS * DAY_SECONDS
    """Of jobs that failed or expired."""
    is_set: bool = False
    """Whether somebody chose so. A database that is older than the choice keeps its jobs until then."""


KEEP_ALL: Final = Keeping(0, 0)


MOST_COUNTED: Final = 10_000
"""Live jobs of a queue in one state: counting stops here, for beyond it an exact number costs more than it is worth."""


@dataclass(frozen=True, slots=True)
class Depth:
    """The live jobs of a queue."""

    by_state: dict[JobState, int] = field(default_factory=dict)
    oldest_waiting_seconds: float | None = None
    """How long the job that could be handed out first has been due; None if none is."""
    scheduled: int = 0
    """Those of the pending and the retrying whose time has not come."""
    oldest_waiting_id: UUID | None = None
    """The job that has been due for longest. One that no worker takes becomes it, sooner or later."""

    def count(self, states: Iterable[JobState]) -> int:
        """Return how many jobs are in some states."""
        return sum(self.by_state.get(state, 0) for state in states)


@dataclass(frozen=True, slots=True)
class Rates:
    """Jobs created and ended in the last minute."""

    created_per_minute: int = 0
    ended_per_minute: int = 0


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue with its rules."""

    name: str
    rules: QueueRules
    created_at: datetime
    updated_at: datetime
