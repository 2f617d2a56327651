"""Idle workers, waiting for a job they could take: the oldest first, and no more of them woken than there are jobs."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from app.domain.job import ClaimFilter


@dataclass(frozen=True, slots=True)
class Offer:
    """A job that has become claimable."""

    project_id: UUID
    queue: str
    type: str


@dataclass(eq=False, slots=True)
class IdleClaimer:
    """One claim that found nothing and waits."""

    wanted: ClaimFilter
    wakened: asyncio.Event = field(default_factory=asyncio.Event)

    def fits(self, offer: Offer) -> bool:
        """Whether this claimer would take the job."""
        wanted = self.wanted
        return (
            wanted.project_id == offer.project_id
            and wanted.job_ids is None
            and (wanted.queues is None or offer.queue in wanted.queues)
            and (wanted.types is None or offer.type in wanted.types)
        )


class Claimers:
    """All idle claims of this process, in the order in which they came."""

    def __init__(self) -> None:
        self._idle: dict[IdleClaimer, None] = {}
        self.draining = False

    def __len__(self) -> int:
        return len(self._idle)

    def join(self, wanted: ClaimFilter) -> IdleClaimer:
        """Register a claim before it looks for work, so that a job made in between wakes it."""
        claimer = IdleClaimer(wanted)
        self._idle[claimer] = None
        return claimer

    def leave(self, claimer: IdleClaimer) -> None:
        """Forget a claim."""
        self._idle.pop(claimer, None)

    def filters(self) -> list[ClaimFilter]:
        """List what is waited for, each filter once: what the sweep asks the database about."""
        return list(dict.fromkeys(claimer.wanted for claimer in self._idle))

    def offer(self, offers: Iterable[Offer]) -> None:
        """Wake one claimer per job, the one that has waited longest and has not been woken yet."""
        for offer in offers:
            for claimer in self._idle:
                if not claimer.wakened.is_set() and claimer.fits(offer):
                    claimer.wakened.set()
                    break

    def wake_filters(self, wanted: Iterable[ClaimFilter]) -> None:
        """Wake the longest-waiting claimer of each filter; what it leaves, the next sweep offers to the next."""
        for one in wanted:
            for claimer in self._idle:
                if claimer.wanted == one and not claimer.wakened.is_set():
                    claimer.wakened.set()
                    break

    def drain(self) -> None:
        """Let all idle claims answer empty."""
        self.draining = True
        for claimer in self._idle:
            claimer.wakened.set()
