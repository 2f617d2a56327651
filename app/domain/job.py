"""A job as the rest of the service sees it, and what it takes to create one. Workers' calls are in `worker_call`."""

import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from app.domain.idempotency import Idempotency
from app.domain.input import StoredInput
from app.domain.item import Counts, ItemPage, NewItem
from app.domain.records import quick
from app.domain.states import GAVE_UP, TERMINAL, JobState

Json: TypeAlias = Any
"""Any JSON value, as parsed."""


class JobRef(NamedTuple):
    """A job and its project: every statement names both."""

    project_id: UUID
    job_id: UUID


NO_VERSION = -1
"""Version of a job that was not read yet."""


class SeenVersion:
    """A job with the version the caller last saw. Compared by identity, so that each one is looked up separately."""

    __slots__ = ("job_hex", "project_hex", "ref", "version")

    def __init__(self, ref: JobRef, version: int = NO_VERSION) -> None:
        self.ref = ref
        self.version = version
        # Sent once a second for as long as somebody waits, so the texts are made once.
        # The project has one for all of its jobs.
        self.project_hex, self.job_hex = sys.intern(ref.project_id.hex), ref.job_id.hex


DEFAULT_QUEUE = "default"
DEFAULT_LEASE_SECONDS = 30
DEFAULT_MAX_ATTEMPTS = 3
CANCEL_GRACE_SECONDS = 60
"""A cancelled job that a worker holds without a lease end gets this long to acknowledge."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The delay before a retry: a random part of `delay * factor ** (attempt - 1)`, at most `max_delay`."""

    delay_seconds: float = 1.0
    factor: float = 2.0
    max_delay_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Eta:
    """Estimated seconds until the job is done, with the bounds that the last half minute's speed allows."""

    seconds: float
    low_seconds: float
    high_seconds: float


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job, or its latest attempt, failed."""

    code: str
    message: str


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job at one version. Every field depends on `version` alone, so a body can be cached under it."""

    project_id: UUID
    id: UUID
    type: str
    queue: str
    engine: str | None
    collection: str | None
    state: JobState
    stage: str | None
    progress: float
    counts: Counts
    message: str | None
    eta: Eta | None
    error: JobFailure | None
    labels: dict[str, str]
    priority: int
    attempt: int
    max_attempts: int
    retry: Retry
    original_job_id: UUID | None
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
    expected_seconds: int | None
    """How long an attempt should take."""
    overdue: bool
    """Whether the latest attempt was seen to take longer."""
    documents: "Documents | None" = None
    """Payload, result and billing, where the reader asked for them and the answer has room for them."""

    @property
    def ref(self) -> JobRef:
        """The job and its project, as statements name them."""
        return JobRef(self.project_id, self.id)

    @property
    def terminal(self) -> bool:
        """Whether the job has ended and can never change again."""
        return self.state in TERMINAL

    @property
    def failure(self) -> JobFailure | None:
        """Why the job failed or expired; None of a job that did neither.

        One that nobody took before its deadline has no error of its own, but still a reason.
        """
        if self.state not in GAVE_UP:
            return None
        return self.error or JobFailure(
            self.state.value, "The job's deadline passed, or its last attempt stopped reporting."
        )


@quick
@dataclass(frozen=True, slots=True)
class Documents:
    """The large parts of a job, each written once and read only when asked for."""

    payload: Json = None
    result: Json = None
    billing: Json = None
    size: int = field(default=0, compare=False)
    """Bytes of the job with them, where a reader of many asked the database."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who takes a job and for how long: the part of a claim that the database needs."""

    worker: str
    lease_seconds: int | None = DEFAULT_LEASE_SECONDS


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job as its producer sends it. A `retry` or `expected_seconds` of None takes the queue's."""

    id: UUID
    type: str
    queue: str = DEFAULT_QUEUE
    engine: str | None = None
    collection: str | None = None
    payload: Json = None
    priority: int = 0
    scheduled_at: datetime | None = None
    expires_at: datetime | None = None
    lifetime: timedelta | None = None
    """The deadline as a length from the creation, by the database's clock; for reruns."""
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    retry: Retry | None = None
    expected_seconds: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    items: tuple[NewItem, ...] = ()
    input: StoredInput | None = None
    """Bytes that were received for this job and become its input with it."""
    claim: Claim | None = None
    """Create the job already claimed: for engines that run it themselves."""


@quick
@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A job to create, for whom and as a rerun of what, once per idempotency key."""

    project_id: UUID
    job: NewJob
    idempotency: Idempotency | None = None
    original_job_id: UUID | None = None
    token: UUID | None = None
    """The lease token of a job that is created already claimed."""

    @property
    def ref(self) -> JobRef:
        """The new job and its project."""
        return JobRef(self.project_id, self.job.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFilter:
    """The jobs that a worker accepts. None accepts all."""

    project_id: UUID
    queues: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    job_ids: tuple[UUID, ...] | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's hold on a job. Lengths, not instants, so that the two clocks need not agree."""

    token: UUID
    expires_in_seconds: float | None


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """What a claim hands to a worker."""

    job: Job
    lease: Lease
    checkpoint: Json = None
    size: int = field(default=0, compare=False)
    """Bytes of all of it, about."""
    items: ItemPage | None = None
    """The first of its unfinished items, where the claim asks for them."""


@quick
@dataclass(frozen=True, slots=True)
class Created:
    """The job of a create or rerun. `replayed`: an earlier call had created it."""

    job: Job
    lease: Lease | None = None
    """For a job created already claimed."""
    replayed: bool = False
