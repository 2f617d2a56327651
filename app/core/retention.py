"""Retention: removes, in small steps, deleted and aged jobs, old idempotency records and inputs that may go."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
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
"""The rows of a deleted job are invisible, so looking rarely costs nothing but disk space."""
STEP_PAUSE_SECONDS: Final = 0.05
"""Between two steps: removing a million rows takes a minute and leaves most of the database to others."""
JITTER_SECONDS: Final = 1.0
"""Spreads the looks of many processes."""
ROWS_A_STEP: Final = 5_000
"""A step is a transaction of about ten milliseconds, too short to delay others at a lock or a checkpoint."""
JOBS_A_STEP: Final = 200
IDEMPOTENCY_KEPT: Final = timedelta(hours=24)
UPLOAD_TAKES_AT_MOST: Final = timedelta(hours=6)
"""An upload without a job that is older than this was abandoned."""
UPLOADS_A_STEP: Final = 5
ORPHANS_EVERY_SECONDS: Final = 600.0
REPAIRED_A_STEP: Final = 1_000
"""Jobs examined in one step: 3 ms, or 18 ms if each is rewritten (measured with 300,000 jobs)."""


class Retention:
    """Removes in small steps. Safe in any number of processes at once: each skips what another has locked."""

    def __init__(self, database: Database, announce: Callable[[Iterable[Change]], None]) -> None:
        self._database = database.for_maintenance()
        self._announce = announce
        self._orphans_at = 0.0

    async def prune(self) -> float:
        """Do one step; returns the seconds until it is worth another."""
        return STEP_PAUSE_SECONDS if await self.step() else LOOK_SECONDS

    async def step(self) -> bool:
        """Do one step of everything that is due; returns whether there may be more to do at once."""
        found = await self._database.read(deletions.select_anything, age=IDEMPOTENCY_KEPT)
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
        return await self._database.write(deletions.prune, jobs=JOBS_A_STEP, rows=ROWS_A_STEP) > 0

    async def _delete_aged(self) -> bool:
        aged = await self._database.read(deletions.select_aged, JOBS_A_STEP)
        if not aged:
            return False
        gone = await self._database.write(_delete, aged)
        self._announce(Change(key, event_types=("pruned",)) for key in gone)
        log.info("deleted what its queue keeps no longer", jobs=len(gone))
        return True

    async def _forget_keys(self) -> bool:
        pruned = await self._database.write(deletions.prune_idempotency, age=IDEMPOTENCY_KEPT, limit=ROWS_A_STEP)
        return pruned >= ROWS_A_STEP

    async def _drop_inputs(self, *, look_for_orphans: bool) -> bool:
        """Remove credentials of ended jobs at once, uploads that no job has when they are certainly abandoned."""
        found = await self._database.write(_drop_inputs, look_for_orphans=look_for_orphans)
        if look_for_orphans and not found:
            # Looking for orphans reads the first chunk's row of every input, so it is done rarely.
            self._orphans_at = asyncio.get_running_loop().time() + ORPHANS_EVERY_SECONDS
        return found > 0

    async def _mend_deadlines(self) -> bool:
        """Continue the walk over stored jobs that removes deadlines which mean none."""
        mended, more = await self._database.write(_mend_step)
        self._announce(Change(ref) for ref in mended)
        if mended:
            log.info("removed deadlines that stood for none", jobs=len(mended))
        return more


async def _delete(connection: Connection, aged: Sequence[JobRef]) -> list[JobRef]:
    await transitions.lock_in_order(connection, aged)
    return await deletions.delete(connection, aged)


async def _drop_inputs(connection: Connection, *, look_for_orphans: bool) -> int:
    dropped = await inputs.drop_sensitive(connection, JOBS_A_STEP)
    if look_for_orphans:
        dropped += await inputs.delete_orphans(connection, age=UPLOAD_TAKES_AT_MOST, limit=UPLOADS_A_STEP)
    return dropped


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
