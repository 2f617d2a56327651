"""The bodies of claims, and of the claims that workers' calls carry."""

from enum import StrEnum
from typing import Annotated, Any, Self, TypeAlias

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.api.examples import QUEUE, WORKER
from app.api.fields import Body, IdText, LeaseSeconds, Name, Seconds
from app.api.jobs.wire import ItemList
from app.api.wire import Answer, JobDetail, JobSummary, LeaseOut
from app.domain.job import DEFAULT_LEASE_SECONDS
from app.web.params import WHOLE

MAX_CLAIM_WAIT_SECONDS = 50


class IncludedInClaim(StrEnum):
    """A part of claimed jobs, included only on request."""

    ITEMS = "items"


Include: TypeAlias = Annotated[
    list[Annotated[IncludedInClaim, Field(strict=False)]] | None,
    Field(max_length=1, description="`items`: with each job its unfinished items, the first 1,000 of them."),
]


class ClaimsIn(Body):
    """Which jobs to claim. Without queues or types: any. A pause stops claims by queue or type, not by `job_ids`."""

    worker: Name
    queues: list[Name] | None = Field(default=None, min_length=1, max_length=100)
    types: list[Name] | None = Field(default=None, min_length=1, max_length=100)
    job_ids: list[IdText] | None = Field(default=None, min_length=1, max_length=100)
    max: Annotated[int, Field(ge=1, le=100), WHOLE] = 1
    lease_seconds: LeaseSeconds | None = Field(
        default=DEFAULT_LEASE_SECONDS, description="Null: no expiry; only for jobs claimed by id."
    )
    wait: Seconds = Field(default=0, description="Seconds to wait for work; larger values are capped at 50.")
    include: Include = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.lease_seconds is None and self.job_ids is None:
            raise PydanticCustomError("lease_without_end", "A lease without end is only for jobs claimed by id.")
        return self


class NextClaimIn(Body):
    """Which jobs to claim once an attempt has ended, for the same worker: of queues, of types, or of both."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"queues": [QUEUE]}]})

    queues: list[Name] | None = Field(default=None, min_length=1, max_length=100)
    types: list[Name] | None = Field(default=None, min_length=1, max_length=100)
    max: Annotated[int, Field(ge=1, le=100), WHOLE] = 1
    lease_seconds: LeaseSeconds = Field(default=DEFAULT_LEASE_SECONDS)
    include: Include = None

    @model_validator(mode="after")
    def _name_some(self) -> Self:
        # Nobody takes by omission what it cannot do.
        if self.queues is None and self.types is None:
            raise PydanticCustomError("claim_of_nothing", "Name the queues or the types to claim from.")
        return self


class WorkersNextClaimIn(NextClaimIn):
    """Which jobs to claim once the reports of a batch are in, and for which worker."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"worker": WORKER, "queues": [QUEUE]}]})

    worker: Name


class ClaimedJobOut(JobDetail):
    """A claimed job, with its lease and the last checkpoint."""

    lease: LeaseOut
    checkpoint: Any
    items: ItemList | None = Field(
        default=None,
        description="Only where the claim includes `items`. `next_cursor`: of the list of the job's items with the "
        "statuses queued and processing.",
    )


class Claimed(Answer):
    """The claimed jobs; empty if no work was available."""

    jobs: list[ClaimedJobOut]


class EndedOut(JobSummary):
    """The job whose attempt ended, and the jobs claimed with the same call."""

    claimed: list[ClaimedJobOut] | None = Field(default=None, description="Only where the call carried a `claim`.")
