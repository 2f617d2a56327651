"""Removes what is kept no longer, in small steps and by any process."""

import asyncio
import random

from app.core.retention import Retention
from app.live.service import Loop

LOOK_SECONDS = 5.0
"""Nobody sees what is left of a deleted job, so that looking seldom costs nothing but some room."""
STEP_PAUSE_SECONDS = 0.05
"""Between two steps: a million rows take a minute, and leave the database to its users."""


class Pruner(Loop):
    """Looks every some seconds, and goes on step by step while there is something to remove."""

    def __init__(self, retention: Retention) -> None:
        super().__init__("pruner")
        self._retention = retention

    async def turn(self) -> None:
        """Wait, then remove what there is."""
        # Jittered, so that many processes do not look at the same moment.
        await asyncio.sleep(LOOK_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
        more = True
        while more:
            more = await self._retention.step()
            await asyncio.sleep(STEP_PAUSE_SECONDS)
