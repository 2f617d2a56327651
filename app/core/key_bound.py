"""The bound of a project's idempotency records: beyond it the oldest go before their day is over.

Only the rate of creations bounded them, and one key may create as much as it likes.
"""

import asyncio
from datetime import datetime
from typing import Final
from uuid import UUID

from app.db import surplus_keys
from app.db.engine import Database

MOST_KEYS: Final = 1_000_000
"""Records of a project, give or take a slice: some 300 MB. Who creates a hundred jobs a second has each for hours."""
SLICE: Final = 50_000
"""Records counted in one step."""
FORGOTTEN_A_STEP: Final = 5_000
REST_SECONDS: Final = 60.0
"""Between two walks."""


class KeyBound:
    """Walks over all records from the newest to the oldest, and forgets what lies behind a project's bound.

    Safe in any number of processes at once: all of them find the same records too old.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._walk_at = 0.0
        self._before: datetime | None = None
        self._counted: dict[UUID, int] = {}
        self._too_old: dict[UUID, datetime] = {}

    async def step(self) -> bool:
        """Count a slice, or remove some of what is too old; returns whether there is more to do at once."""
        for project_id, than in tuple(self._too_old.items()):
            limit = FORGOTTEN_A_STEP
            if await self._database.write(surplus_keys.forget, project_id, than=than, limit=limit) < limit:
                del self._too_old[project_id]
            return True
        now = asyncio.get_running_loop().time()
        return now >= self._walk_at and await self._count(now)

    async def _count(self, now: float) -> bool:
        found = await self._database.read(surplus_keys.count, before=self._before, limit=SLICE)
        for part in found:
            before = self._counted.get(part.project_id, 0)
            self._counted[part.project_id] = before + part.records
            if before <= MOST_KEYS < before + part.records:
                self._too_old[part.project_id] = part.oldest
        self._before = min((part.oldest for part in found), default=None)
        is_over = sum(part.records for part in found) < SLICE
        if is_over:
            self._walk_at, self._before = now + REST_SECONDS, None
            self._counted.clear()
        return not is_over or bool(self._too_old)
