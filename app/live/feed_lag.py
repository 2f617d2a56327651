"""Watches how far the feed of events is behind what has happened.

It shows what no transaction can precede any more, so that one which stays open holds it up: a nightly load in another
database of the server, or a prepared transaction that nobody has ended. Nothing else of the service waits for those.
"""

from typing import Final

import structlog

from app.db import feed_lag
from app.db.engine import Database

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 10.0
JITTER_SECONDS: Final = 1.0
"""Spreads the looks of many processes."""
LONG_SECONDS: Final = 10.0
"""Longer than a transaction of the service itself may take."""


class FeedLag:
    """The age of the oldest event that the feed cannot show yet, up to eleven seconds old itself."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._has_warned = False
        self.seconds = 0.0

    @property
    def is_long(self) -> bool:
        """Whether the feed is held up, and not just behind by what is being written now."""
        return self.seconds >= LONG_SECONDS

    async def look(self) -> float:
        """Look once; returns the seconds until the next look. Writes one warning each time that the feed is held up."""
        lag = await self._database.read(feed_lag.select)
        self.seconds = max(0.0, lag.seconds or 0.0)
        if self.is_long and not self._has_warned:
            # Nobody, if it has just ended: the next look has another one, or no lag.
            if holder := await self._database.read(feed_lag.select_holder, lag.oldest):
                log.warning("an open transaction holds up /v1/events", holder=holder, seconds=round(self.seconds))
                self._has_warned = True
        elif not self.is_long:
            self._has_warned = False
        return LOOK_SECONDS
