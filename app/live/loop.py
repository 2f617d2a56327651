"""The contract of everything that runs in the background: start, stop, and a loop that survives errors."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 1.0
"""Waits and leases are promised within a second or so of an outage's end, so no loop may rest longer."""
CANCEL_AGAIN_SECONDS = 0.5
"""How long a round may take to end after its cancellation, before it is taken for lost."""


class Service(Protocol):
    """A background service that is started and stopped."""

    async def start(self) -> None:
        """Start; returns when it is working."""

    async def stop(self) -> None:
        """Stop; returns when nothing of it runs any more. Safe to call twice, or before `start`."""


class Loop:
    """A service that calls `run_once` repeatedly. An error is logged, and the next call comes after a growing pause."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._task: asyncio.Task[None] | None = None

    async def run_once(self) -> None:
        """Do one round of the work, waiting for whatever it waits for."""
        raise NotImplementedError

    async def start(self) -> None:
        """Start, in a task of its own."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Cancel the round under way (database work in it is shielded) and wait for the task to end.

        A cancellation can be lost: `asyncio.wait_for` in Python 3.11, which libraries use, swallows one that comes in
        the moment of its result. Once a round was left so, and the process did not end.
        """
        task, self._task = self._task, None
        while task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_AGAIN_SECONDS)

    async def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.run_once()
                pause = FIRST_PAUSE_SECONDS
            except BaseException as error:  # A loop that dies silently is worse than any error it meets
                # A cancellation that is not of this task: somebody else's work was cancelled and this waited for it.
                cancelled = isinstance(error, asyncio.CancelledError) and not _is_being_cancelled()
                if not isinstance(error, Exception) and not cancelled:
                    raise
                if loop.time() - began > LONGEST_PAUSE_SECONDS:
                    pause = FIRST_PAUSE_SECONDS  # It worked for a while, so this is a new problem.
                log.warning("background round failed", loop=self.name, error=repr(error))
                # Jittered, so that many processes do not come back at once after an outage.
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Periodic(Loop):
    """Calls `step`, which returns how many seconds to rest before the next call; 0 for none.

    A rest is at least `at_least_seconds`, so that what falls due one after the other is gathered, and up to
    `jitter_seconds` longer, so that many processes do not come at the same moment.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[float]],
        *,
        at_least_seconds: float = 0.0,
        jitter_seconds: float = 0.0,
    ) -> None:
        super().__init__(name)
        self._step = step
        self._at_least_seconds = at_least_seconds
        self._jitter_seconds = jitter_seconds

    async def run_once(self) -> None:
        """Do a step, and rest."""
        rest = await self._step()
        if rest:
            jitter = random.uniform(0, self._jitter_seconds)  # noqa: S311 - jitter, not a secret
            await asyncio.sleep(max(rest, self._at_least_seconds) + jitter)
