"""What is kept no longer: jobs that were deleted or grew old, and Idempotency-Keys of yesterday."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db import deletions, transitions
from app.db.engine import Database
from app.domain.job import JobKey
from app.live.change_feed import Change

log = structlog.get_logger(__name__)

ROWS_A_STEP: Final = 5_000
"""A step is a transaction of some ten milliseconds: nobody who waits for a lock or a checkpoint notices it."""
JOBS_A_STEP: Final = 200
IDEMPOTENCY_KEPT: Final = timedelta(hours=24)


class Retention:
    """Removes in small steps. Safe in any number of processes at once: each takes what is not locked."""

    def __init__(self, database: Database, announce: Callable[[Iterable[Change]], None]) -> None:
        self._database = database
        self._announce = announce

    async def step(self) -> bool:
        """Do one step of everything; says whether there may be more to do at once."""
        more = [await self._prune_deleted(), await self._delete_aged(), await self._forget_keys()]
        return any(more)

    async def _prune_deleted(self) -> bool:
        async def work(connection: AsyncConnection) -> int:
            return await deletions.prune(connection, jobs=JOBS_A_STEP, rows=ROWS_A_STEP)

        return await self._database.write(work) > 0

    async def _delete_aged(self) -> bool:
        async def look(connection: AsyncConnection) -> list[JobKey]:
            return await deletions.select_aged(connection, JOBS_A_STEP)

        aged = await self._database.read(look)
        if not aged:
            return False

        async def work(connection: AsyncConnection) -> list[JobKey]:
            await transitions.lock_in_order(connection, aged)
            return await deletions.delete(connection, aged)

        gone = await self._database.write(work)
        self._announce(Change(key) for key in gone)
        log.info("deleted what its queue keeps no longer", jobs=len(gone))
        return True

    async def _forget_keys(self) -> bool:
        async def work(connection: AsyncConnection) -> int:
            return await deletions.prune_idempotency(connection, age=IDEMPOTENCY_KEPT, limit=ROWS_A_STEP)

        return await self._database.write(work) >= ROWS_A_STEP
