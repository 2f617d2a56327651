"""The units of work in flight: each in a task of its own, bounded in time, and joined at shutdown."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from app.domain.errors import UnansweredError

T = TypeVar("T")


class Units:
    """The units of all views of a database."""

    def __init__(self) -> None:
        self._began: dict[asyncio.Task[Any], float] = {}
        """When each began; never, for those that nobody waits for."""

    def oldest_seconds(self) -> float:
        """Return how long the oldest unit has been in flight."""
        now = asyncio.get_running_loop().time()
        return max((now - began for began in self._began.values() if began <= now), default=0.0)

    async def run(
        self, work: Awaitable[T], *, deadline: float, ended: Callable[[], None], is_awaited: bool = True
    ) -> T:
        """Run a unit, which goes on if its caller is cancelled."""
        task = asyncio.ensure_future(_bounded(work, deadline))
        self._began[task] = asyncio.get_running_loop().time() if is_awaited else float("inf")
        task.add_done_callback(self._forget)
        task.add_done_callback(lambda _: ended())
        return await asyncio.shield(task)

    async def join(self) -> None:
        """Wait for the units in progress, and for those that they begin when they end: the release of a claim."""
        while self._began:
            await asyncio.gather(*self._began, return_exceptions=True)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._began.pop(task, None)
        if not task.cancelled():
            # Retrieved here, so that an error without a caller is not reported as never retrieved.
            task.exception()


async def _bounded(work: Awaitable[T], deadline: float) -> T:
    """Cancel a unit at its deadline: nobody waits longer for a database that does not answer."""
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except TimeoutError as error:
        raise UnansweredError("The database did not answer in time.") from error
