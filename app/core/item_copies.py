"""Copies of items to reruns of large jobs: the first step in the call, the others here, by any process."""

from collections.abc import Callable, Iterable
from typing import Final

import structlog

from app.core.batches import rerun
from app.db import item_copies, jobs, transitions
from app.db.connection import Connection
from app.db.engine import Database
from app.db.item_copies import ItemCopy
from app.domain.errors import JobBusyError
from app.domain.states import TERMINAL
from app.live.change_feed import Change
from app.live.idle_claims import ClaimableJob

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 10.0
"""While there is nothing to copy: each look is a statement that an idle service makes."""
BUSY_SECONDS: Final = 1.0
"""After a rerun that another call held: it has been put behind the others."""
STEP_PAUSE_SECONDS: Final = 0.05
"""Between two steps: a million items take about half a minute and leave most of the database to others."""
JITTER_SECONDS: Final = 0.2


class ItemCopies:
    """Copies in small steps. Safe in any number of processes at once: each skips what another is at."""

    def __init__(
        self,
        database: Database,
        announce: Callable[[Iterable[Change]], None],
        count_busy: Callable[[str, int], None] = lambda _, __: None,
    ) -> None:
        self._database = database.for_maintenance()
        self._announce = announce
        self._count_busy = count_busy

    async def step(self) -> float:
        """Do one step; returns the seconds until it is worth another."""
        if not await self._database.read(item_copies.select_any):
            return LOOK_SECONDS
        try:
            copy, changes = await self._database.write(_step)
        except _BusyError as error:
            self._count_busy("item copies", 1)
            await self._database.write(item_copies.advance, error.copy)
            return BUSY_SECONDS
        except _EndedError:
            return STEP_PAUSE_SECONDS
        self._announce(changes)
        if changes and copy:
            log.info("copied the items of a rerun", job_id=str(copy.job_id), items=copy.copied)
        return LOOK_SECONDS if copy is None else STEP_PAUSE_SECONDS


class _BusyError(JobBusyError):
    """The rerun is locked; the step is undone."""

    def __init__(self, copy: ItemCopy) -> None:
        super().__init__("Another call holds this job just now.")
        self.copy = copy


class _EndedError(Exception):
    """The rerun ended during the step, which is undone: an ended job gets no more items."""


async def _step(connection: Connection) -> tuple[ItemCopy | None, list[Change]]:
    """Continue one copy; returns it, None if there is none for this process, and what its end changed."""
    found = await item_copies.select_next(connection)
    if found is None:
        return None, []
    before = found.copy
    if not found.live:
        await item_copies.end(connection, before)
        return before, []
    copy = await item_copies.copy_some(connection, before, window=rerun.MOST_EXAMINED, limit=rerun.MOST_COPIED)
    # Only now, for the moment until the commit: a cancel, and a call about many, which leaves out what is locked, would
    # otherwise meet the lock every second time.
    if await transitions.lock_free(connection, [copy.ref]):
        raise _BusyError(before)
    job = (await jobs.select_fences(connection, [copy.ref])).get(copy.ref)
    if job is None or job.state in TERMINAL:
        raise _EndedError
    if copy.position < copy.last_position:
        await item_copies.advance(connection, copy)
        return copy, []
    await item_copies.end(connection, copy)
    released = await item_copies.release(connection, copy)
    offer = ClaimableJob(copy.project_id, released.queue, released.type) if released.engine is None else None
    return copy, [Change(copy.ref, offer)]
