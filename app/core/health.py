"""Readiness: whether this process can serve."""

import asyncio

import structlog

from app.core.space import Space
from app.db import migrate
from app.db.deadlines import STATEMENT_TIMEOUT_SECONDS
from app.db.engine import Database
from app.domain.errors import JobtrackError

log = structlog.get_logger(__name__)

REMEMBERED_SECONDS = 1.0
TIMEOUT_SECONDS = 1.0
STUCK_SECONDS = STATEMENT_TIMEOUT_SECONDS + 1.0
"""Age at which a unit of work is stuck: no statement may take so long."""


class Health:
    """Checks the database, and whether the process is shutting down."""

    def __init__(self, database: Database, space: Space | None = None) -> None:
        self._database = database
        self._space = space or Space()
        self._checked_at = float("-inf")
        self._failures: dict[str, str] = {}
        self._logged: dict[str, str] = {}
        self._checking: asyncio.Task[None] | None = None
        self._outdated = migrate.outdated_revisions()
        self.draining = False

    async def failures(self) -> dict[str, str]:
        """Return the checks that fail, with the reason; empty when ready. Cached for a second."""
        found = await self._failing()
        if found and found != self._logged:
            log.warning("not ready", failures=found)
        self._logged = found
        return found

    async def _failing(self) -> dict[str, str]:
        if self.draining:
            return {"draining": "The process is going down and takes no new work."}
        # A connection may be silent while others answer, and the requests that wait for it are stuck all the same.
        if (age := self._database.oldest_unit_seconds()) > STUCK_SECONDS:
            return {"database": f"A unit of work has been waiting for the database for {age:.0f} s."}
        now = asyncio.get_running_loop().time()
        if self._checking is None and now - self._checked_at >= REMEMBERED_SECONDS:
            # One for all who ask: each would hold a connection of a database that is slow already.
            self._checking = asyncio.create_task(self._check())
        if self._checking is not None:
            # The statement itself is bounded and shielded; only the wait for it ends here.
            done, _ = await asyncio.wait({self._checking}, timeout=TIMEOUT_SECONDS)
            if not done:
                return {"database": f"The database did not answer within {TIMEOUT_SECONDS:g} s."}
        return {**self._failures, **self._space.failures()}

    async def _check(self) -> None:
        try:
            self._failures = await self._find_failures()
        except Exception as error:
            log.exception("the check of readiness failed")
            self._failures = {"database": f"The check failed: {type(error).__name__}."}
        finally:
            self._checking, self._checked_at = None, asyncio.get_running_loop().time()

    async def _find_failures(self) -> dict[str, str]:
        try:
            found = await self._database.read(migrate.select_revisions)
        except JobtrackError as error:
            return {"database": error.message}
        if not found or found & self._outdated:
            return {"migrations": "The database is not at this version's schema: run `jobtrack migrate`."}
        return {}
