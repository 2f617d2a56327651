"""What an installation is and how it fares, as the page of the system and a bundle for helpers show it."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.core.retention import IDEMPOTENCY_KEPT
from app.core.space import Space
from app.db import deletions, installation, migrate
from app.db.connection import Connection
from app.db.engine import Database
from app.db.installation import MOST_COUNTED
from app.domain.installation import FeedState, Installation, Storage, TableSize
from app.live.change_feed import ChangeFeed
from app.live.feed_lag import FeedLag

MOST_DELETIONS: Final = MOST_COUNTED
"""Where the count of deletions that are still to be done ends."""


@dataclass(frozen=True, slots=True)
class _Stored:
    revisions: frozenset[str]
    storage: Storage
    tables: list[TableSize]
    has_aged: bool


class Installations:
    """Describes the installation that this process is part of."""

    def __init__(self, database: Database, space: Space, feed: ChangeFeed, feed_lag: FeedLag) -> None:
        self._database = database
        self._space = space
        self._outdated = migrate.outdated_revisions()
        self._feed = feed
        self._feed_lag = feed_lag

    def feed(self) -> FeedState:
        """Return the state of this process's feed, from memory."""
        return FeedState(self._feed.up, self._feed_lag.seconds, self._feed_lag.is_long)

    async def describe(self, project_id: UUID) -> Installation:
        """Describe all of it; the project is the one on whose account the database is asked."""
        stored = await self._database.slow(project_id).read(_select)
        return Installation(
            revisions=tuple(sorted(stored.revisions)),
            is_current=bool(stored.revisions) and not stored.revisions & self._outdated,
            storage=stored.storage,
            tables=tuple(sorted(stored.tables, key=lambda table: (-table.size, table.name))),
            has_aged=stored.has_aged,
            free_bytes=self._space.free_bytes(),
        )


async def _select(connection: Connection) -> _Stored:
    return _Stored(
        await migrate.select_revisions(connection),
        await installation.select_storage(connection),
        await installation.select_sizes(connection),
        (await deletions.select_anything(connection, age=IDEMPOTENCY_KEPT)).aged,
    )
