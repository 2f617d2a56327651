"""Lists of jobs, and why their jobs do not go on."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from app.api.jobs.wire import JobInWait
from app.api.wire import Answer
from app.domain.waiting import Reason


class ListIncluded(StrEnum):
    """What a list of jobs includes only on request: a large field, or why each job does not go on."""

    PAYLOAD = "payload"
    RESULT = "result"
    BILLING = "billing"
    WAITING = "waiting"


class WaitingOut(Answer):
    """Why a live job does not go on, as of the answer."""

    reason: Reason | None = Field(description="Null: the job runs well, or has ended.")
    since: datetime | None
    until: datetime | None = Field(description="When this is over by itself; null: not known.")
    detail: str = Field(description="The same in a sentence for people, with names and times.")


class JobInList(JobInWait):
    """A job with what `include` names."""

    waiting: WaitingOut | None = Field(default=None, description="Only where `include` names it.")


class JobList(Answer):
    """A page of jobs, newest first. Only a null `next_cursor` is the end."""

    jobs: list[JobInList]
    next_cursor: str | None
