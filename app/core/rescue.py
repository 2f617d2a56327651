"""Rescue: retries or expires the jobs of dead workers, and expires those past their deadline, within a second."""

import random
from collections.abc import Callable, Iterable, Sequence

import structlog

from app.core.batches.changes import changes_of
from app.db import sweeps, transitions
from app.db.connection import Connection
from app.db.engine import Database
from app.db.transitions import Move
from app.domain.job import JobRef
from app.domain.states import JobEvent
from app.live.change_feed import Change

log = structlog.get_logger(__name__)

BATCH = 500
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


class Rescue:
    """Moves jobs whose lease or deadline has passed; any number of processes may do so at once."""

    def __init__(self, database: Database, announce: Callable[[Iterable[Change]], None]) -> None:
        self._database = database
        self._announce = announce

    async def step(self) -> float:
        """Move the jobs that are due; returns the seconds until the next call is worth it, at most one."""
        due = await self._database.read(sweeps.select_due, BATCH)
        swept = sum([await self._sweep(event, refs) for event, refs in due.jobs.items() if refs])
        if swept >= BATCH:
            return 0.0
        return LOOK_SECONDS if due.next_seconds is None else min(due.next_seconds, LOOK_SECONDS)

    async def _sweep(self, event: JobEvent, refs: Sequence[JobRef]) -> int:
        changes = await self._database.write(_apply, event, refs)
        self._announce(changes)
        if changes:
            log.info("swept", sweep=str(event), jobs=len(changes))
        return len(changes)


async def _apply(connection: Connection, event: JobEvent, refs: Sequence[JobRef]) -> list[Change]:
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
    ]
    await transitions.lock_in_order(connection, refs)
    return changes_of(await transitions.move(connection, event, moves))
