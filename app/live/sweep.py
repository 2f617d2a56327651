"""Once a second, one query re-checks all that is watched: a lost notification costs a second and nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from time import monotonic

from app.db import claims, jobs
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.job import ClaimFilter, Known
from app.live.claimers import Claimers
from app.live.service import Loop
from app.live.waiters import Waiters

SWEEP_SECONDS = 1.0
SLICE = 300
"""Jobs that are looked at before others may have the event loop: half a millisecond."""


class Sweep(Loop):
    """Compares what waiters have seen, and what claimers want, with what the database has."""

    def __init__(
        self,
        database: Database,
        waiters: Waiters,
        claimers: Claimers,
        observe: Callable[[float, int], None] = lambda _, __: None,
    ) -> None:
        super().__init__("sweep")
        self._database = database
        self._waiters = waiters
        self._claimers = claimers
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
        known = [one async for one in _by_and_by(self._waiters.known())]
        if known:
            # Not through the reads of requests, which would have to wait for so long a statement.
            changed = await self._database.read(lambda connection: jobs.select_changed(connection, known))
            late = self._waiters.wake_outdated({one.key: version for one, version in changed.items()})
            self.late_wakeups += late
        if filters := self._claimers.filters():
            self._claimers.wake_filters(await self._offers(filters))
        self._observe(monotonic() - began, late)

    async def _offers(self, filters: list[ClaimFilter]) -> list[ClaimFilter]:
        async def work(connection: Connection) -> list[ClaimFilter]:
            return await claims.select_offers(connection, filters)

        return await self._database.read(work)


async def _by_and_by(known: Iterator[Known]) -> AsyncIterator[Known]:
    """Give others their turn now and then: ten thousand watched jobs take some milliseconds."""
    for n, one in enumerate(known, start=1):
        if n % SLICE == 0:
            await asyncio.sleep(0)
        yield one
