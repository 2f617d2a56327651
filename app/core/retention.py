"""What is kept no longer: jobs that were deleted or grew old, old Idempotency-Keys, deadlines that stand for none."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

import structlog

from app.db import deletions, inputs, repairs, transitions
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.job import JobRef
from app.live.change_feed import Change

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 5.0
"""Nobody sees what is left of a deleted job, so that looking seldom costs nothing but some room."""
STEP_PAUSE_SECONDS: Final = 0.05
"""Between two steps: a million rows take a minute, and leave the database to its users."""
JITTER_SECONDS: Final = 1.0
"""So that many processes do not look at the same moment."""
ROWS_A_STEP: Final = 5_000
"""A step is a transaction of some ten milliseconds: nobody who waits for a lock or a checkpoint notices it."""
JOBS_A_STEP: Final = 200
IDEMPOTENCY_KEPT: Final = timedelta(hours=24)
UPLOAD_TAKES_AT_MOST: Final = timedelta(hours=6)
"""An upload without a job that is older than this has lost its sender."""
UPLOADS_A_STEP: Final = 5
ORPHANS_EVERY_SECONDS: Final = 600.0
REPAIRED_A_STEP: Final = 1_000
"""Jobs that a step looks at: 3 ms, and 18 ms where each of them is rewritten (measured, 300,000 jobs)."""


class Retention:
    """Removes in small steps. Safe in any number of processes at once: each takes what is not locked."""

    def __init__(self, database: Database, announce: Callable[[Iterable[Change]], None]) -> None:
        self._database = database
        self._announce = announce
        self._orphans_at = 0.0

    async def prune(self) -> float:
        """Do one step; returns the seconds until it is worth another."""
        return STEP_PAUSE_SECONDS if await self.step() else LOOK_SECONDS

    async def step(self) -> bool:
        """Do one step of everything that there is to do; says whether there may be more to do at once."""
        found = await self._database.read(lambda c: deletions.select_anything(c, age=IDEMPOTENCY_KEPT))
        look_for_orphans = asyncio.get_running_loop().time() >= self._orphans_at
        more = [
            found.deleted and await self._prune_deleted(),
            found.aged and await self._delete_aged(),
            found.keys and await self._forget_keys(),
            (found.inputs or look_for_orphans) and await self._drop_inputs(look_for_orphans=look_for_orphans),
            found.repairs and await self._mend_deadlines(),
        ]
        return any(more)

    async def _prune_deleted(self) -> bool:
        async def work(connection: Connection) -> int:
            return await deletions.prune(connection, jobs=JOBS_A_STEP, rows=ROWS_A_STEP)

        return await self._database.write(work) > 0

    async def _delete_aged(self) -> bool:
        async def look(connection: Connection) -> list[JobRef]:
            return await deletions.select_aged(connection, JOBS_A_STEP)

        aged = await self._database.read(look)
        if not aged:
            return False

        async def work(connection: Connection) -> list[JobRef]:
            await transitions.lock_in_order(connection, aged)
            return await deletions.delete(connection, aged)

        gone = await self._database.write(work)
        self._announce(Change(key, event_types=("pruned",)) for key in gone)
        log.info("deleted what its queue keeps no longer", jobs=len(gone))
        return True

    async def _forget_keys(self) -> bool:
        async def work(connection: Connection) -> int:
            return await deletions.prune_idempotency(connection, age=IDEMPOTENCY_KEPT, limit=ROWS_A_STEP)

        return await self._database.write(work) >= ROWS_A_STEP

    async def _drop_inputs(self, *, look_for_orphans: bool) -> bool:
        """Remove credentials of ended jobs at once, uploads that no job has when they are certainly abandoned."""

        async def work(connection: Connection) -> int:
            found = await inputs.drop_sensitive(connection, JOBS_A_STEP)
            if look_for_orphans:
                found += await inputs.delete_orphans(connection, age=UPLOAD_TAKES_AT_MOST, limit=UPLOADS_A_STEP)
            return found

        found = await self._database.write(work)
        if look_for_orphans and not found:
            # The look reads the first chunk's row of every input there is, so it is taken seldom.
            self._orphans_at = asyncio.get_running_loop().time() + ORPHANS_EVERY_SECONDS
        return found > 0

    async def _mend_deadlines(self) -> bool:
        """Walk on over stored jobs, and remove the deadlines that stand for none."""
        mended, more = await self._database.write(_mend_step)
        self._announce(Change(ref) for ref in mended)
        if mended:
            log.info("removed deadlines that stood for none", jobs=len(mended))
        return more


async def _mend_step(connection: Connection) -> tuple[list[JobRef], bool]:
    repair = await repairs.select_next(connection)
    if repair is None:
        return [], False
    seen = await repairs.select_jobs(connection, repair, REPAIRED_A_STEP)
    if not seen.last:
        await repairs.finish(connection, repair)
        return [], True
    mended = []
    if seen.endless:
        await transitions.lock_in_order(connection, seen.endless)
        mended = await repairs.mend_deadlines(connection, seen.endless)
    await repairs.advance(connection, repair, seen.last)
    return mended, True
