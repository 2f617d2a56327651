"""Offers the jobs of dead workers again, and ends jobs whose deadline passed, within a second, by any process."""

import asyncio
import random

from app.core.leases import Leases
from app.live.service import Loop

JITTER_SECONDS = 0.1
SHORTEST_PAUSE_SECONDS = 0.25
"""Leases that run out one after the other are gathered for so long, a quarter of the second that is promised."""


class Rescuer(Loop):
    """Sweeps for lapsed leases and deadlines, as soon as the next one lapses and at least once a second."""

    def __init__(self, leases: Leases) -> None:
        super().__init__("rescuer")
        self._leases = leases

    async def turn(self) -> None:
        """Sweep; at once again if there was more than one batch holds."""
        pause = await self._leases.rescue()
        if pause:
            # Jittered, so that not all processes come for the same lease at the same moment.
            await asyncio.sleep(max(pause, SHORTEST_PAUSE_SECONDS) + random.uniform(0, JITTER_SECONDS))  # noqa: S311
