"""Aging: deletes ended jobs that are older than their queue, or else the service, keeps them."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from app.db import aged, deletions, transitions
from app.db.aged import NO_LANE, AgedJob
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.job import JobRef
from app.domain.queue import Keeping
from app.live.change_feed import Change

log = structlog.get_logger(__name__)

JOBS_A_STEP: Final = 200
MOST_BUSY: Final = 10 * JOBS_A_STEP
LANES_A_STEP: Final = 200
WALK_EVERY_SECONDS: Final = 60.0
"""Between two walks over the ended jobs of all queues: the service keeps them for days."""


class Aging:
    """Deletes in small steps. Safe in any number of processes at once: each skips what another has locked."""

    def __init__(
        self,
        database: Database,
        announce: Callable[[Iterable[Change]], None],
        count_busy: Callable[[str, int], None],
        keeping: Keeping,
    ) -> None:
        """`database` is maintenance's view of it."""
        self._database = database
        self._announce = announce
        self._count_busy = count_busy
        self._keeping = keeping
        self._busy = 0
        self._walk_at = 0.0
        self._lane = NO_LANE

    async def by_rule(self) -> bool:
        """Delete what the rule of a queue keeps no longer; returns whether there may be more at once."""
        found = await self._database.read(aged.select_by_rule, self._at_most)
        if not found:
            self._busy = 0
            return False
        return await self._delete(found) > 0

    @property
    def is_walk_due(self) -> bool:
        """Whether to look at the jobs of all queues."""
        return asyncio.get_running_loop().time() >= self._walk_at

    async def by_default(self) -> bool:
        """Continue the walk over the jobs of all queues; returns whether there may be more at once."""
        walked = await self._database.read(
            aged.walk, self._lane, self._keeping, lanes=LANES_A_STEP, limit=self._at_most
        )
        deleted = await self._delete(walked.jobs) if walked.jobs else 0
        if walked.behind is not None:
            # Where others hold all of a stretch, the next look takes a longer one.
            has_gone_on = deleted > 0 or walked.behind != self._lane
            self._lane = walked.behind
            return has_gone_on
        self._lane, self._busy = NO_LANE, 0
        self._walk_at = asyncio.get_running_loop().time() + WALK_EVERY_SECONDS
        return False

    @property
    def _at_most(self) -> int:
        # More by those that were busy in the last step: they must not hide the rest.
        return JOBS_A_STEP + min(self._busy, MOST_BUSY)

    async def _delete(self, jobs: Sequence[AgedJob]) -> int:
        gone, self._busy = await self._database.write(_delete, [job.ref for job in jobs])
        if self._busy:
            self._count_busy("retention", self._busy)
        self._announce(Change(key, event_types=("pruned",)) for key in gone)
        of = {job.ref: job for job in jobs}
        for ref in gone:
            log.info(
                "deleted a job that is kept no longer",
                job_id=str(ref.job_id),
                queue=of[ref].queue,
                worker=of[ref].worker,
            )
        return len(gone)


async def _delete(connection: Connection, refs: Sequence[JobRef]) -> tuple[list[JobRef], int]:
    """Delete those that are not locked; returns them, and how many are."""
    busy = await transitions.lock_free(connection, refs)
    return await deletions.delete(connection, [ref for ref in refs if ref not in busy]), len(busy)
