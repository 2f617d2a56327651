"""Offers the jobs of dead workers again, and ends jobs whose deadline passed, within a second, by any process."""

import asyncio

from app.core.leases import RESCUE_BATCH, Leases
from app.live.service import Loop

RESCUE_SECONDS = 0.5
"""Half of the second that is promised, so that the other half is left for the work itself."""


class Rescuer(Loop):
    """Sweeps for lapsed leases and deadlines."""

    def __init__(self, leases: Leases) -> None:
        super().__init__("rescuer")
        self._leases = leases

    async def turn(self) -> None:
        """Sweep; at once again if there was more than one batch holds."""
        if await self._leases.rescue() < RESCUE_BATCH:
            await asyncio.sleep(RESCUE_SECONDS)
