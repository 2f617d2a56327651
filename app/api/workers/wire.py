"""The bodies of the four worker calls under a lease token, alone or as rows of a batch."""

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import Field, WrapValidator

from app.api.fields import (
    ROUNDED,
    AnyJson,
    Body,
    Id,
    IdText,
    LeaseSeconds,
    Name,
    Size,
    Text,
)
from app.api.rows import MAX_ROWS, judge_alone
from app.api.typed import typed
from app.api.wire import Answer, JobSummary, Problem
from app.api.workers.claim_wire import ClaimedJobOut, NextClaimIn, WorkersNextClaimIn
from app.api.workers.item_wire import ItemUpdateIn, LogLineIn
from app.domain.states import JobState
from app.domain.worker_call import Complete, Fail, LogLine, Release, Report, WorkerCall


@typed
class ReportIn(Body):
    """Progress of a job; the token alone is a heartbeat. A lease that ran out goes on only if the queue has a place."""

    token: Id
    lease_seconds: LeaseSeconds | None = Field(
        default=None, description="New lease duration; null keeps the current one."
    )
    stage: Name | None = None
    progress: float | None = Field(default=None, ge=0, le=100)
    message: Text | None = None
    items: list[ItemUpdateIn] = Field(default=[], max_length=1000)
    items_total: Size | None = Field(default=None, description="Expected total number of items.")
    logs: list[LogLineIn] = Field(default=[], max_length=1000)
    checkpoint: AnyJson = None

    def call(self, project_id: UUID, job_id: UUID) -> WorkerCall:
        """Return this in the domain's terms."""
        return Report(
            project_id=project_id,
            job_id=job_id,
            token=self.token,
            lease_seconds=self.lease_seconds,
            stage=self.stage,
            progress=self.progress,
            message=self.message,
            items=tuple(item.to_domain() for item in self.items),
            items_total=self.items_total,
            logs=tuple(LogLine(line.level, line.message) for line in self.logs),
            checkpoint=self.checkpoint,
        )


class CompleteFields(Body):
    """The job is done. Counts after the lease ran out as well, until another claim."""

    token: Id
    result: AnyJson = None
    billing: AnyJson = None

    def call(self, project_id: UUID, job_id: UUID) -> WorkerCall:
        """Return this in the domain's terms."""
        return Complete(
            project_id=project_id, job_id=job_id, token=self.token, result=self.result, billing=self.billing
        )


class FailFields(Body):
    """The attempt failed. Counts after the lease ran out as well, until another claim."""

    token: Id
    code: Name
    message: Text
    retryable: bool = True
    retry_after_seconds: Annotated[float, Field(ge=0, le=604_800), ROUNDED] | None = None

    def call(self, project_id: UUID, job_id: UUID) -> WorkerCall:
        """Return this in the domain's terms."""
        return Fail(
            project_id=project_id,
            job_id=job_id,
            token=self.token,
            code=self.code,
            message=self.message,
            retryable=self.retryable,
            retry_after_seconds=self.retry_after_seconds,
        )


class ReleaseFields(Body):
    """Release the job; the attempt is not counted."""

    token: Id

    def call(self, project_id: UUID, job_id: UUID) -> WorkerCall:
        """Return this in the domain's terms."""
        return Release(project_id=project_id, job_id=job_id, token=self.token)


class Ending(Body):
    """The end of an attempt, which may claim the next jobs."""

    claim: NextClaimIn | None = Field(
        default=None, description="Jobs to claim once the attempt has ended; a call that is refused claims nothing."
    )


class CompleteIn(CompleteFields, Ending):
    """The job is done. Counts after the lease ran out as well, until another claim."""


class FailIn(FailFields, Ending):
    """The attempt failed. Counts after the lease ran out as well, until another claim."""


class ReleaseIn(ReleaseFields, Ending):
    """Release the job; the attempt is not counted."""


class ReportRow(ReportIn):
    """A report of one job, in a batch."""

    job_id: IdText
    action: Literal["report"]


class CompleteRow(CompleteFields):
    """A completion of one job, in a batch."""

    job_id: IdText
    action: Literal["complete"]


class FailRow(FailFields):
    """A failure of one job, in a batch."""

    job_id: IdText
    action: Literal["fail"]


class ReleaseRow(ReleaseFields):
    """A release of one job, in a batch."""

    job_id: IdText
    action: Literal["release"]


Row: TypeAlias = Annotated[
    Annotated[ReportRow | CompleteRow | FailRow | ReleaseRow, Field(discriminator="action")],
    WrapValidator(judge_alone),
]


@typed
class ReportsIn(Body):
    """Up to 1,000 worker calls about different jobs, each validated independently."""

    reports: list[Row] = Field(min_length=1, max_length=MAX_ROWS)
    claim: WorkersNextClaimIn | None = Field(
        default=None, description="Jobs to claim afterwards, unless every row is refused or a repeat."
    )


class LeaseLeft(Answer):
    """Remaining time of a lease."""

    expires_in_seconds: float | None


class ReportedOut(Answer):
    """Response to a report."""

    status: JobState
    cancel_requested: bool = Field(
        description="Whether cancellation was requested: stop, and acknowledge by releasing the job."
    )
    lease: LeaseLeft


class ReportResult(Answer):
    """Result of one row: an `outcome` or a `problem`."""

    job_id: str | None
    outcome: ReportedOut | JobSummary | None = None
    problem: Problem | None = None


class ReportResults(Answer):
    """Results of a batch, in the order of the request."""

    results: list[ReportResult]
    claimed: list[ClaimedJobOut] | None = Field(default=None, description="Only where the call carried a `claim`.")
