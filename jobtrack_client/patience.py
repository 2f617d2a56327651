"""Repeat a call for as long as the service is unavailable."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from jobtrack_client.errors import Unavailable

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0

logger = logging.getLogger("jobtrack_client")


async def until_answered(send: Callable[[], Awaitable[T]]) -> T:
    """Repeat the call until the service responds or refuses it, however long it is unavailable.

    The work that a worker has done is worth more than the delay: as long as no other worker has claimed the
    job, a call under the old token is accepted even after the lease has expired.
    """
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await send()
        except Unavailable as error:
            logger.warning("%s; trying again", error)
        await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311  spreads load, keeps no secret
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
