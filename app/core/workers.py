"""Workers: who asks for jobs, and what each holds."""

from collections.abc import Iterator
from itertools import islice
from typing import Final
from uuid import UUID

from app.db import workers
from app.db.engine import Database
from app.db.workers import Asked
from app.domain.worker import Worker
from app.live import askers

LOOK_SECONDS: Final = 1.0
"""A worker that nobody knew is written this soon: until then a job that only it takes seems to have none."""
WORKERS_A_WRITE: Final = 1_000


class Workers:
    """The workers of all projects. What claims ask for is noted in memory, and written for all of them at once: never
    on a claim's own path, and not at all while nobody asks.
    """

    def __init__(self, database: Database, origin: str) -> None:
        self._database = database
        self._maintenance = database.for_maintenance()
        self.askers = askers.Askers()
        self._origin = origin
        self._all_at = float("-inf")

    async def page(
        self, project_id: UUID, *, after: str = "", limit: int = 50, part: str = ""
    ) -> tuple[list[Worker], str | None]:
        """Return workers behind a name whose names hold `part`, in upper or lower case, and the name behind which the
        next page begins, None at the end.
        """
        found = await self._database.slow(project_id).read(
            workers.select_page, project_id, after=after, limit=limit + 1, part=part
        )
        return found[:limit], found[limit - 1].name if len(found) > limit else None

    async def write(self) -> float:
        """Write who has asked since the last call; returns the seconds until the next one."""
        now = askers.now()
        if now - self._all_at >= askers.WRITE_SECONDS:
            self._all_at = now
            await self._write(self.askers.all())
        else:
            await self._write(self.askers.new())
        return LOOK_SECONDS

    async def _write(self, rows: Iterator[Asked]) -> None:
        while batch := list(islice(rows, WORKERS_A_WRITE)):
            try:
                grown = await self._maintenance.write(workers.write, self._origin, batch)
            except Exception:
                self.askers.not_written(batch)
                raise
            if grown:
                await self._maintenance.write(workers.drop_surplus, sorted(grown))
