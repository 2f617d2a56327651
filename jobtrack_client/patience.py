"""Repeat a call for as long as the service is unavailable."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from jobtrack_client.call import Call
from jobtrack_client.errors import JobtrackError, Unavailable

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
# The same call may be answered later: the service is busy, restarts, or has a fault that is not ours.
_TRY_LATER = frozenset({408, 425, 429})

logger = logging.getLogger("jobtrack_client")


def may_pass(error: JobtrackError) -> bool:
    """Return whether the error may be gone when the call is repeated."""
    return isinstance(error, Unavailable) or error.status in _TRY_LATER or error.status >= 500


def once(call: Call[T], timeout: float | None = None) -> Call[T]:
    """Return the call without the client's own retries, which may wait for longer than a lease."""
    return dataclasses.replace(call, once=True, timeout=call.timeout if timeout is None else timeout)


def pause_seconds(failures: int, longest: float) -> float:
    """Return a random pause before the next try: doubled with each failure, at most `longest` seconds."""
    # The power is bounded because days of failures would overflow it.
    ceiling = min(_FIRST_PAUSE_SECONDS * 2 ** min(failures, 10), longest)
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311  spreads load, keeps no secret


async def until_answered(send: Callable[[], Awaitable[T]], longest_pause_seconds: float) -> T:
    """Repeat the call until the service responds or refuses it, however long it is unavailable.

    The work that a worker has done is worth more than the delay: as long as no other worker has claimed the
    job, a call under the old token is accepted even after the lease has expired. The pause between two tries is at
    most a third of the lease, so that a service that is back within the lease finds it still held.
    """
    failures = 0
    while True:
        try:
            return await send()
        except JobtrackError as error:
            if not may_pass(error):
                raise
            logger.warning("%s; trying again", error)
        failures += 1
        await asyncio.sleep(pause_seconds(failures, min(longest_pause_seconds, LONGEST_PAUSE_SECONDS)))
