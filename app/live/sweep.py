"""Once a second, one query re-checks all that is watched: a lost notification costs a second and nothing else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from time import monotonic

from app.db import claimable, jobs
from app.db.engine import Database
from app.domain.job import SeenVersion
from app.live.idle_claims import IdleClaims
from app.live.loop import Loop
from app.live.waiters import Waiters

SWEEP_SECONDS = 1.0
SLICE = 300
"""Jobs that are iterated over before others may have the event loop: half a millisecond."""


class Sweep(Loop):
    """Compares the versions that waiters have seen, and the filters of idle claims, with the database."""

    def __init__(
        self,
        database: Database,
        waiters: Waiters,
        claims: IdleClaims,
        observe: Callable[[float, int], None] = lambda _, __: None,
    ) -> None:
        super().__init__("sweep")
        self._database = database
        self._waiters = waiters
        self._claims = claims
        self._observe = observe
        self._now = asyncio.Event()
        self.late_wakeups = 0
        """Waiters that had to be woken by the sweep, because no notification had reached them."""

    def nudge(self) -> None:
        """Sweep at once: the listening connection was down, and notifications may have been lost."""
        self._now.set()

    async def run_once(self) -> None:
        """Wait for the next second (or a nudge), then re-check everything."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SWEEP_SECONDS):
                await self._now.wait()
        self._now.clear()
        await self.look()

    async def look(self) -> None:
        """Re-check everything that is watched now."""
        began, late = monotonic(), 0
        seen = [version async for version in _yielding(self._waiters.seen_versions())]
        if seen:
            # Not through the reads of requests, which would have to wait for so long a statement.
            changed = await self._database.read(jobs.select_changed, seen)
            late = self._waiters.wake_outdated({version.ref: current for version, current in changed.items()})
            self.late_wakeups += late
        if filters := self._claims.filters():
            self._claims.wake_filters(await self._database.read(claimable.select_claimable, filters))
        self._observe(monotonic() - began, late)


async def _yielding(seen: Iterator[SeenVersion]) -> AsyncIterator[SeenVersion]:
    """Yield to the event loop every `SLICE` jobs; iterating over ten thousand takes several milliseconds."""
    for n, version in enumerate(seen, start=1):
        if n % SLICE == 0:
            await asyncio.sleep(0)
        yield version
