"""One contract for everything that runs in the background: start it, stop it, and its loop survives what it meets."""

import asyncio
import random
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 1.0
"""Waits and leases are promised within a second or so of an outage's end, so no loop may rest longer."""


class Service(Protocol):
    """Something with a life of its own."""

    async def start(self) -> None:
        """Begin; returns when it is working."""

    async def stop(self) -> None:
        """End; returns when nothing of it runs any more. Safe to call twice, or before `start`."""


class Loop:
    """A service that calls `turn` for ever. An error is logged and the next turn comes after a growing pause."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._task: asyncio.Task[None] | None = None

    async def turn(self) -> None:
        """Do one round of the work, waiting for whatever it waits for."""
        raise NotImplementedError

    async def start(self) -> None:
        """Begin turning in a task of its own."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Cancel the turn under way (database work in it is shielded) and wait for the task to end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.turn()
                pause = FIRST_PAUSE_SECONDS
            except Exception as error:  # noqa: BLE001 - a loop that dies silently is worse than any error it meets
                if loop.time() - began > LONGEST_PAUSE_SECONDS:
                    pause = FIRST_PAUSE_SECONDS  # It worked for a while: this is a new trouble.
                log.warning("background turn failed", loop=self.name, error=repr(error))
                # Jittered, so that many processes do not come back at once after an outage.
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
