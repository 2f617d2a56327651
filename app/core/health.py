"""Readiness: whether this process can serve."""

import asyncio

import structlog

from app.core.space import Space
from app.db import migrate
from app.db.engine import Database
from app.domain.errors import JobtrackError

log = structlog.get_logger(__name__)

REMEMBERED_SECONDS = 1.0
TIMEOUT_SECONDS = 1.0


class Health:
    """Checks the database, and whether the process is shutting down."""

    def __init__(self, database: Database, space: Space | None = None) -> None:
        self._database = database
        self._space = space or Space()
        self._checked_at = float("-inf")
        self._failures: dict[str, str] = {}
        self._logged: dict[str, str] = {}
        self._outdated = migrate.outdated_revisions()
        self.draining = False

    async def failures(self) -> dict[str, str]:
        """Return the checks that fail, with the reason; empty when ready. Cached for a second."""
        if self.draining:
            return {"draining": "The process is going down and takes no new work."}
        now = asyncio.get_running_loop().time()
        if now - self._checked_at >= REMEMBERED_SECONDS:
            self._failures = await self._check()
            self._checked_at = now
        found = {**self._failures, **self._space.failures()}
        if found and found != self._logged:
            log.warning("not ready", failures=found)
        self._logged = found
        return found

    async def _check(self) -> dict[str, str]:
        try:
            # The statement itself is bounded and shielded; only the wait for it ends here.
            found = await asyncio.wait_for(self._database.read(migrate.select_revisions), TIMEOUT_SECONDS)
        except TimeoutError:
            return {"database": f"The database did not answer within {TIMEOUT_SECONDS:g} s."}
        except JobtrackError as error:
            return {"database": error.message}
        if not found or found & self._outdated:
            return {"migrations": "The database is not at this version's schema: run `jobtrack migrate`."}
        return {}
