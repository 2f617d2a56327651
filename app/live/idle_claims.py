"""Claims that found nothing and wait for a job: the oldest is woken first, and no more of them than there are jobs."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from app.domain.job import ClaimFilter


@dataclass(frozen=True, slots=True)
class ClaimableJob:
    """A job that has become claimable."""

    project_id: UUID
    queue: str
    type: str


@dataclass(eq=False, slots=True)
class IdleClaim:
    """One claim that found nothing and waits."""

    filter: ClaimFilter
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def fits(self, job: ClaimableJob) -> bool:
        """Whether this claim would take the job."""
        return (
            self.filter.project_id == job.project_id
            and self.filter.job_ids is None
            and (self.filter.queues is None or job.queue in self.filter.queues)
            and (self.filter.types is None or job.type in self.filter.types)
        )


class IdleClaims:
    """All idle claims of this process, in the order in which they came."""

    def __init__(self) -> None:
        self._idle: dict[IdleClaim, None] = {}
        self.draining = False

    def __len__(self) -> int:
        return len(self._idle)

    def join(self, claim_filter: ClaimFilter) -> IdleClaim:
        """Register a claim before it looks for work, so that a job created in between wakes it."""
        claim = IdleClaim(claim_filter)
        self._idle[claim] = None
        return claim

    def leave(self, claim: IdleClaim) -> None:
        """Forget a claim."""
        self._idle.pop(claim, None)

    def filters(self) -> list[ClaimFilter]:
        """Return the filters of the idle claims, each once, for the sweep to check in the database."""
        return list(dict.fromkeys(claim.filter for claim in self._idle))

    def wake_for(self, jobs: Iterable[ClaimableJob]) -> None:
        """Wake one claim per job: the one that has waited longest and has not been woken yet."""
        for job in jobs:
            for claim in self._idle:
                if not claim.woken.is_set() and claim.fits(job):
                    claim.woken.set()
                    break

    def wake_filters(self, filters: Iterable[ClaimFilter]) -> None:
        """Wake the longest-waiting claim of each filter; what it leaves, the next sweep offers to the next."""
        for claim_filter in filters:
            for claim in self._idle:
                if claim.filter == claim_filter and not claim.woken.is_set():
                    claim.woken.set()
                    break

    def drain(self) -> None:
        """Wake all claims: they answer empty."""
        self.draining = True
        for claim in self._idle:
            claim.woken.set()
