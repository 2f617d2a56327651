"""Going on trying while the service is away."""

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
    """Send until there is an answer or a refusal, however long the service is away.

    A worker has work in hand that is worth more than the pause: under a token that nobody has taken
    over, even a call that comes after the lease ran out counts.
    """
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await send()
        except Unavailable as error:
            logger.warning("%s; trying again", error)
        await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311  spreads load, keeps no secret
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
