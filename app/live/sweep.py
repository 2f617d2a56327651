"""Once a second, one query re-checks all that is watched: a lost notification costs a second and nothing else."""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from itertools import chain
from time import monotonic

from app.db import claims
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.job import ClaimFilter, JobKey
from app.live.claimers import Claimers
from app.live.read_batcher import ReadBatcher
from app.live.renderings import Renderings
from app.live.service import Loop
from app.live.waiters import Waiters

SWEEP_SECONDS = 1.0


class Sweep(Loop):
    """Compares what waiters have seen, and what claimers want, with what the database has."""

    def __init__(
        self,
        versions: ReadBatcher[JobKey, int],
        database: Database,
        waiters: Waiters,
        claimers: Claimers,
        renderings: Collection[Renderings] = (),
        observe: Callable[[float, int], None] = lambda _, __: None,
    ) -> None:
        super().__init__("sweep")
        self._versions = versions
        self._database = database
        self._waiters = waiters
        self._claimers = claimers
        self._renderings = renderings
        self._observe = observe
        self._now = asyncio.Event()
        self.late_wakeups = 0
        """Waiters that had to be woken by the sweep, because no notification had reached them."""

    def nudge(self) -> None:
        """Sweep at once: the listening connection was away and nobody knows what it missed."""
        self._now.set()

    async def turn(self) -> None:
        """Wait for the next second (or a nudge), then look."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._now.wait(), SWEEP_SECONDS)
        self._now.clear()
        await self.look()

    async def look(self) -> None:
        """Re-check everything that is watched now."""
        began, late = monotonic(), 0
        asked_at = asyncio.get_running_loop().time()
        watched, served = self._waiters.watched(), [renderings.used() for renderings in self._renderings]
        if keys := list(dict.fromkeys(chain(watched, *served))):
            versions = await self._versions.get_many(keys)
            if watched:
                late = self._waiters.wake_outdated(versions)
                self.late_wakeups += late
            for renderings, used in zip(self._renderings, served, strict=True):
                renderings.confirm(used, versions, asked_at)
        if filters := self._claimers.filters():
            self._claimers.wake_filters(await self._offers(filters))
        self._observe(monotonic() - began, late)

    async def _offers(self, filters: list[ClaimFilter]) -> list[ClaimFilter]:
        async def work(connection: Connection) -> list[ClaimFilter]:
            return await claims.select_offers(connection, filters)

        return await self._database.read(work)
