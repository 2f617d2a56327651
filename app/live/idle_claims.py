"""Claims that found nothing and wait for a job: the oldest is woken first, and no more of them than there are jobs."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from app.domain.job import ClaimFilter

MOST_PLACES: Final = 100
"""Pairs of a queue and a type under which one claim is found. One that names more is found by its types."""

_Place: TypeAlias = tuple[UUID, str | None, str | None] | ClaimFilter
"""A project, a queue and a type, None for any; or a whole filter."""


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
    turn: int = 0
    """The order in which claims began to listen."""

    def fits(self, job: ClaimableJob) -> bool:
        """Whether this claim would take the job."""
        return (
            self.filter.project_id == job.project_id
            and self.filter.job_ids is None
            and (self.filter.queues is None or job.queue in self.filter.queues)
            and (self.filter.types is None or job.type in self.filter.types)
        )


def _places(claim_filter: ClaimFilter) -> list[_Place]:
    """Return where a claim of this filter is found: by the queues and types of its jobs, and by the filter itself."""
    if claim_filter.job_ids is not None:
        return [claim_filter]
    queues, types = claim_filter.queues or (None,), claim_filter.types or (None,)
    if len(queues) * len(types) > MOST_PLACES and claim_filter.types is not None:
        queues = (None,)
    project_id = claim_filter.project_id
    return [claim_filter, *dict.fromkeys((project_id, queue, type_) for queue in queues for type_ in types)]


class IdleClaims:
    """All idle claims of this process. Those that listen, woken by nothing yet, are found by what they would take: a
    thousand jobs and as many claims of other types would otherwise be a million comparisons.
    """

    def __init__(self) -> None:
        self._idle: dict[IdleClaim, None] = {}
        self._listening: dict[_Place, dict[IdleClaim, None]] = {}
        self._turns = 0
        self.draining = False

    def __len__(self) -> int:
        return len(self._idle)

    def join(self, claim_filter: ClaimFilter) -> IdleClaim:
        """Register a claim before it looks for work, so that a job created in between wakes it."""
        claim = IdleClaim(claim_filter)
        self._idle[claim] = None
        self._listen(claim)
        return claim

    def leave(self, claim: IdleClaim) -> None:
        """Forget a claim."""
        self._idle.pop(claim, None)
        self._ignore(claim)

    def listen(self, claim: IdleClaim) -> None:
        """Register a claim again that was woken and looks for work: what becomes claimable meanwhile wakes it again.
        It has had its turn, and is behind those that listen already.
        """
        if claim.woken.is_set():
            claim.woken.clear()
            self._listen(claim)

    def filters(self) -> list[ClaimFilter]:
        """Return the filters of the idle claims, each once, for the sweep to check in the database."""
        return list(dict.fromkeys(claim.filter for claim in self._idle))

    def wake_for(self, jobs: Iterable[ClaimableJob]) -> None:
        """Wake one claim per job: of those that would take it the one that has listened longest."""
        for job in jobs:
            places = [(job.project_id, queue, type_) for queue in (job.queue, None) for type_ in (job.type, None)]
            found = [claim for place in places if (claim := self._first_that_fits(place, job)) is not None]
            if found:
                self._wake(min(found, key=lambda claim: claim.turn))

    def wake_filters(self, filters: Iterable[ClaimFilter]) -> None:
        """Wake the longest-listening claim of each filter; what it leaves, the next sweep offers to the next."""
        for claim_filter in filters:
            claim = next(iter(self._listening.get(claim_filter, ())), None)
            if claim is not None:
                self._wake(claim)

    def drain(self) -> None:
        """Wake all claims: they answer empty."""
        self.draining = True
        for claim in self._idle:
            self._wake(claim)

    def _first_that_fits(self, place: _Place, job: ClaimableJob) -> IdleClaim | None:
        return next((claim for claim in self._listening.get(place, ()) if claim.fits(job)), None)

    def _wake(self, claim: IdleClaim) -> None:
        claim.woken.set()
        self._ignore(claim)

    def _listen(self, claim: IdleClaim) -> None:
        self._turns += 1
        claim.turn = self._turns
        for place in _places(claim.filter):
            self._listening.setdefault(place, {})[claim] = None

    def _ignore(self, claim: IdleClaim) -> None:
        for place in _places(claim.filter):
            listening = self._listening.get(place, {})
            listening.pop(claim, None)
            if not listening:
                self._listening.pop(place, None)
