"""Rescue: retries or expires the jobs of dead workers, expires those past their deadline, and marks those that take
longer than expected, within a second.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from app.core.batches.changes import changes_of
from app.db import overdue, sweeps, transitions
from app.db.connection import Connection
from app.db.engine import Database
from app.db.overdue import OverdueJob
from app.db.sweeps import Look
from app.db.transitions import Move, Moved
from app.domain.job import JobRef
from app.domain.states import JobEvent
from app.live.change_feed import Change

log = structlog.get_logger(__name__)

BATCH = 500
MOST_BUSY = 10 * BATCH
LOOK_SECONDS = 1.0
"""No lease is shorter, so one that begins after a look cannot run out before the next look."""
SHORTEST_REST_SECONDS = 0.25
"""Minimum rest, which batches leases that run out in succession: a quarter of the promised second."""
JITTER_SECONDS = 0.1

ERRORS = {
    JobEvent.LEASE_RAN_OUT: ("lease_expired", "The worker was not heard of before its lease ran out."),
    JobEvent.DEADLINE: ("deadline_exceeded", "The job's deadline passed before it was done."),
}
"""The error of a job whose worker reported none."""
LINES = {JobEvent.LEASE_RAN_OUT: "a lease ran out", JobEvent.DEADLINE: "a deadline passed"}


class Rescue:
    """Moves jobs whose lease or deadline has passed; any number of processes may do so at once."""

    def __init__(
        self,
        database: Database,
        announce: Callable[[Iterable[Change]], None],
        count_busy: Callable[[str, int], None] = lambda _, __: None,
    ) -> None:
        self._database = database
        self._announce = announce
        self._count_busy = count_busy
        self._busy = 0
        self._seen_at: datetime | None = None
        """The last look of this process, by the database's clock."""

    async def step(self) -> float:
        """Move the jobs that are due; returns the seconds until the next call is worth it, at most one."""
        # More by those that were busy at the last look: as many of them as a batch holds must not hide the rest.
        limit = BATCH + min(self._busy, MOST_BUSY)
        due = await self._database.write_at_once(sweeps.look, limit, self._seen_at)
        self._busy = 0
        if due.look.leased and self._is_late(due.look):
            return await self._grant_grace(due.look)
        self._seen_at = due.look.now
        swept = sum([await self._sweep(event, refs) for event, refs in due.jobs.items() if refs])
        swept += await self._mark(due.overdue) if due.overdue else 0
        if swept >= BATCH:
            return 0.0
        return LOOK_SECONDS if due.next_seconds is None else min(due.next_seconds, LOOK_SECONDS)

    def _is_late(self, look: Look) -> bool:
        """Whether neither this process nor another one looked when it should have."""
        seen = [at for at in (look.seen_at, self._seen_at) if at is not None]
        return bool(seen) and look.now - max(seen) > timedelta(seconds=sweeps.LATE_SECONDS)

    async def _grant_grace(self, look: Look) -> float:
        """Lengthen the leases that ended while nobody could renew them; the next look begins from there."""
        graced = await self._database.write(sweeps.grant_grace, self._seen_at)
        if graced is None:
            return SHORTEST_REST_SECONDS
        self._seen_at = look.now
        if graced:
            log.warning("lengthened leases that ended while nobody could renew them", jobs=graced)
        return 0.0

    async def _sweep(self, event: JobEvent, refs: Sequence[JobRef]) -> int:
        moved, busy = await self._database.write(_apply, event, refs)
        self._announce(changes_of(moved))
        self._note_busy(busy)
        for job in moved:
            log.info(LINES[event], job_id=str(job.job_id), queue=job.queue, worker=job.worker, status=str(job.target))
        return len(moved)

    async def _mark(self, refs: Sequence[JobRef]) -> int:
        marked, busy = await self._database.write(_mark, refs)
        self._announce(Change(job.ref, event_types=("overdue",)) for job in marked)
        self._note_busy(busy)
        for job in marked:
            log.info("takes longer than expected", job_id=str(job.job_id), queue=job.queue, worker=job.worker)
        return len(marked)

    def _note_busy(self, busy: int) -> None:
        if busy:
            self._busy += busy
            self._count_busy("rescue", busy)


async def _apply(connection: Connection, event: JobEvent, refs: Sequence[JobRef]) -> tuple[list[Moved], int]:
    """Move the jobs that are not locked; returns what moved, and how many are. The next look finds those again."""
    busy = await transitions.lock_free(connection, refs)
    code, message = ERRORS[event]
    moves = [
        Move(
            project_id=ref.project_id,
            job_id=ref.job_id,
            jitter=random.random(),  # noqa: S311 - jitter, not a secret
            error_code=code,
            error_message=message,
        )
        for ref in refs
        if ref not in busy
    ]
    return await transitions.move(connection, event, moves), len(busy)


async def _mark(connection: Connection, refs: Sequence[JobRef]) -> tuple[list[OverdueJob], int]:
    """Mark the jobs that are not locked; returns them, and how many are."""
    busy = await transitions.lock_free(connection, refs)
    return await overdue.mark(connection, [ref for ref in refs if ref not in busy]), len(busy)
