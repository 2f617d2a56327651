"""Which jobs a list, or a call about many jobs, is about."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.domain.job import Job
from app.domain.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Conditions that must all hold; None, or no label, matches every job."""

    states: frozenset[JobState] | None = None
    types: frozenset[str] | None = None
    types_except: frozenset[str] | None = None
    """For a vendor whose word for a type stands for all types but these."""
    queues: frozenset[str] | None = None
    collection: str | None = None
    or_no_collection: bool = False
    """Jobs without a collection are among those of every collection, as vendors' readers see them."""
    labels: tuple[tuple[str, str], ...] = ()
    created_after: datetime | None = None
    """Inclusive."""
    created_before: datetime | None = None
    """Exclusive."""
    original_job_id: UUID | None = None

    @property
    def everything(self) -> bool:
        """Whether no condition was given."""
        return self == JobFilter()


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, newest first. Only a `next_before` of None is the end; a page before it may be short or empty."""

    jobs: tuple[Job, ...]
    next_before: UUID | None
    size: int
    """Bytes of the jobs, about."""


@dataclass(frozen=True, slots=True)
class JobIdPage:
    """The ids of some jobs, newest first; otherwise as in JobPage."""

    job_ids: tuple[UUID, ...]
    next_before: UUID | None


@dataclass(frozen=True, slots=True)
class CountedPage:
    """A page by offset, for the vendors whose contract wants one, with how many jobs there are to page through."""

    jobs: tuple[Job, ...]
    total: int
