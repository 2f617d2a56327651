"""Retention: removes, in small steps, deleted and aged jobs, old idempotency records and inputs that may go."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from app.core.aging import JOBS_A_STEP, Aging
from app.core.key_bound import KeyBound
from app.db import deletions, inputs, queue_names, released_uploads, repairs, transitions, workers
from app.db.connection import Connection
from app.db.engine import Database
from app.db.queue_names import NO_QUEUE
from app.domain.job import JobRef
from app.domain.queue import KEEP_ALL, Keeping
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
IDEMPOTENCY_KEPT: Final = timedelta(hours=24)
UPLOAD_TAKES_AT_MOST: Final = timedelta(hours=6)
"""An upload without a job that is older than this was abandoned."""
UPLOADS_A_STEP: Final = 5
ORPHANS_EVERY_SECONDS: Final = 600.0
QUEUES_A_STEP: Final = 500
QUEUES_EVERY_SECONDS: Final = 60.0
"""Between two walks over all queues."""
WORKER_KEPT_SECONDS: Final = 24 * 3600.0
WORKERS_EVERY_SECONDS: Final = 600.0
"""Between two looks for workers that are gone: each reads the whole table."""
QUEUE_KEPT_SECONDS: Final = 3600.0
"""A queue without rules and without any job is forgotten when its row is older than this."""
REPAIRED_A_STEP: Final = 1_000
"""Jobs examined in one step: 3 ms, or 18 ms if each is rewritten (measured with 300,000 jobs)."""


class Retention:
    """Removes in small steps. Safe in any number of processes at once: each skips what another has locked."""

    def __init__(
        self,
        database: Database,
        announce: Callable[[Iterable[Change]], None],
        count_busy: Callable[[str, int], None] = lambda _, __: None,
        keeping: Keeping = KEEP_ALL,
    ) -> None:
        self._database = database.for_maintenance()
        self._announce = announce
        self._count_busy = count_busy
        self._aging = Aging(self._database, announce, count_busy, keeping)
        self._orphans_at = 0.0
        self._key_bound = KeyBound(self._database)
        self._queues_at = 0.0
        self._last_queue = NO_QUEUE
        self._workers_at = 0.0

    async def prune(self) -> float:
        """Do one step; returns the seconds until it is worth another."""
        return STEP_PAUSE_SECONDS if await self.step() else LOOK_SECONDS

    async def step(self) -> bool:
        """Do one step of everything that is due; returns whether there may be more to do at once."""
        found = await self._database.read(deletions.select_anything, age=IDEMPOTENCY_KEPT)
        look_for_orphans = asyncio.get_running_loop().time() >= self._orphans_at
        parts: list[tuple[bool, Callable[[], Awaitable[bool]]]] = [
            # Credentials first.
            (found.inputs or look_for_orphans, partial(self._drop_inputs, look_for_orphans=look_for_orphans)),
            (found.released, self._remove_released),
            (found.deleted, self._prune_deleted),
            (found.aged, self._aging.by_rule),
            (self._aging.is_walk_due, self._aging.by_default),
            (found.keys, self._forget_keys),
            (True, self._key_bound.step),
            (found.repairs, self._mend_deadlines),
            (asyncio.get_running_loop().time() >= self._queues_at, self._forget_queues),
            (asyncio.get_running_loop().time() >= self._workers_at, self._forget_workers),
        ]
        return any([await _alone(part) for due, part in parts if due])

    async def _prune_deleted(self) -> bool:
        return await self._database.write(deletions.prune, jobs=JOBS_A_STEP, rows=ROWS_A_STEP) > 0

    async def _forget_keys(self) -> bool:
        pruned = await self._database.write(deletions.prune_idempotency, age=IDEMPOTENCY_KEPT, limit=ROWS_A_STEP)
        return pruned >= ROWS_A_STEP

    async def _forget_queues(self) -> bool:
        """Continue the walk over the queues: to find those that nobody needs takes a look at the jobs of each."""
        looked = await self._database.read(
            queue_names.look, self._last_queue, limit=QUEUES_A_STEP, age_seconds=QUEUE_KEPT_SECONDS
        )
        idle = [row.queue for row in looked if row.idle]
        if idle:
            forgotten = await self._database.write(queue_names.forget, idle)
            log.info("forgot queues without rules and without jobs", queues=forgotten)
        if len(looked) == QUEUES_A_STEP:
            self._last_queue = looked[-1].queue
            return True
        self._last_queue = NO_QUEUE
        self._queues_at = asyncio.get_running_loop().time() + QUEUES_EVERY_SECONDS
        return False

    async def _forget_workers(self) -> bool:
        """Forget workers that have not asked for a day. What one asks for is true for a minute."""
        gone = await self._database.write(workers.drop_aged, age_seconds=WORKER_KEPT_SECONDS, limit=ROWS_A_STEP)
        if gone < ROWS_A_STEP:
            self._workers_at = asyncio.get_running_loop().time() + WORKERS_EVERY_SECONDS
        return gone >= ROWS_A_STEP

    async def _drop_inputs(self, *, look_for_orphans: bool) -> bool:
        """Remove credentials of ended jobs at once, uploads that no job has when they are certainly abandoned."""
        found = await self._database.write(_drop_inputs, look_for_orphans=look_for_orphans)
        if look_for_orphans and not found:
            # Looking for orphans reads the first chunk's row of every input, so it is done rarely.
            self._orphans_at = asyncio.get_running_loop().time() + ORPHANS_EVERY_SECONDS
        return found > 0

    async def _remove_released(self) -> bool:
        return await self._database.write(released_uploads.remove, UPLOADS_A_STEP) > 0

    async def _mend_deadlines(self) -> bool:
        """Continue the walk over stored jobs that removes deadlines which mean none."""
        mended, more, busy = await self._database.write(_mend_step)
        if busy:
            self._count_busy("repairs", busy)
        self._announce(Change(ref) for ref in mended)
        if mended:
            log.info("removed deadlines that stood for none", jobs=len(mended))
        return more


async def _alone(part: Callable[[], Awaitable[bool]]) -> bool:
    """Do a part of a step, whose failure keeps no other part from its turn."""
    try:
        return await part()
    except Exception as error:  # noqa: BLE001 - it comes again with the next look
        log.warning("a part of retention failed", part=getattr(part, "__name__", "_drop_inputs"), error=repr(error))
        return False


async def _drop_inputs(connection: Connection, *, look_for_orphans: bool) -> int:
    dropped = await inputs.drop_sensitive(connection, JOBS_A_STEP)
    if look_for_orphans:
        dropped += await inputs.delete_orphans(connection, age=UPLOAD_TAKES_AT_MOST, limit=UPLOADS_A_STEP)
    return dropped


async def _mend_step(connection: Connection) -> tuple[list[JobRef], bool, int]:
    """Repair the next jobs; returns those that were, whether there is more at once, and how many are locked."""
    repair = await repairs.select_next(connection)
    if repair is None:
        return [], False, 0
    seen = await repairs.select_jobs(connection, repair, REPAIRED_A_STEP)
    if not seen.last:
        await repairs.finish(connection, repair)
        return [], True, 0
    mended, busy = [], set[JobRef]()
    if seen.endless:
        busy = await transitions.lock_free(connection, seen.endless)
        mended = await repairs.mend_deadlines(connection, [ref for ref in seen.endless if ref not in busy])
    if not busy:
        await repairs.advance(connection, repair, seen.last)
    # The walk does not pass by what is locked: it looks at these jobs again later.
    return mended, not busy, len(busy)
