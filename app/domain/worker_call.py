"""What a worker may report about a job under its lease, and the answers."""

from dataclasses import dataclass, field
from typing import TypeAlias
from uuid import UUID

from app.domain.idempotency import Idempotency
from app.domain.item import ItemUpdate
from app.domain.job import Job, JobRef, Json, Lease
from app.domain.records import quick
from app.domain.states import JobState


@quick
@dataclass(frozen=True, slots=True)
class LogLine:
    """One line a worker wrote."""

    level: str
    message: str


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCall:
    """A call of a worker about one job under one lease token."""

    project_id: UUID
    job_id: UUID
    token: UUID
    idempotency: Idempotency | None = None

    @property
    def job_ref(self) -> JobRef:
        """The job and its project."""
        return JobRef(self.project_id, self.job_id)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Report(WorkerCall):
    """Progress of the job. With the token alone it is a heartbeat, which changes neither version nor `updated_at`."""

    lease_seconds: int | None = None
    """The new length of the lease; None keeps the one it was claimed with."""
    stage: str | None = None
    progress: float | None = None
    message: str | None = None
    items: tuple[ItemUpdate, ...] = ()
    items_total: int | None = None
    logs: tuple[LogLine, ...] = ()
    checkpoint: Json = None

    @property
    def bare(self) -> bool:
        """Whether this is a heartbeat and nothing else."""
        return (
            self.stage is None
            and self.progress is None
            and self.message is None
            and not self.items
            and self.items_total is None
            and not self.logs
            and self.checkpoint is None
        )


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Complete(WorkerCall):
    """The job is done."""

    result: Json = None
    billing: Json = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Fail(WorkerCall):
    """The attempt failed."""

    code: str
    message: str
    retryable: bool = True
    retry_after_seconds: float | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Release(WorkerCall):
    """The worker gives the job back; the attempt is not counted."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What a report answers."""

    state: JobState
    lease: Lease

    @property
    def cancel_requested(self) -> bool:
        """Whether the worker should stop and acknowledge by releasing the job."""
        return self.state is JobState.CANCELLING


@dataclass(frozen=True, slots=True)
class Ended:
    """What the end of an attempt answers: the job, and who has held it."""

    job: Job
    worker: str | None
    recorded: bool = field(default=False, compare=False)
    """Whether the same call had ended it before; without an Idempotency-Key, by what the call says."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The answer to a call that comes again under its Idempotency-Key: the outcome of the first, with the job as it is
    now.
    """

    outcome: Reported | Ended


WorkerOutcome: TypeAlias = Reported | Ended | Replayed
"""The result of a call that was not refused."""
