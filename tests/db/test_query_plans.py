"""No statement reads more than it is about, whatever the planner takes the tables for.

Counted are the rows and pages that each reads: on fresh, small and large tables, never analysed, freshly analysed, and
analysed before they were filled; with plans made for the moment, and with one that was made before the moment came.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from app.db.engine import Database, make_engine
from tests.db.explained import PLANNED, Explained
from tests.db.used_tables import BATCH, LARGE, SMALL, Size, fill, use

MOST_ROWS = 20 * BATCH
MOST_PAGES = 60 * BATCH
"""The claim reads each job a dozen times: in seven tables, and in what one part of it hands to the next."""
ONCE_THROUGH = 60_000
"""Rows or pages. To read a table once for a whole batch may be cheaper to the planner, where nothing forbids it."""

MOST_SHOWN = 6_000
"""Characters of a plan."""
READS_MORE = {
    # The narrow table of runs, whole, for those that lapsed and for the next that will.
    "sweeps.LOOK": 3 * LARGE.running,
    # All leases, once after a gap: each is locked, lengthened and read back.
    "sweeps.GRANT_GRACE": 9 * LARGE.running,
    # The labels of jobs one by one, where the planner takes the wanted one for frequent.
    "job_lists.listing(label)": LARGE.ended + LARGE.running + LARGE.pending,
    "job_lists.id_listing(label)": LARGE.ended + LARGE.running + LARGE.pending,
    # All that are held, for who holds something; in plans, what is of one state is handed on once or twice.
    "workers.SELECT_PAGE": 3 * LARGE.running,
    "workers.DROP_AGED": 3 * LARGE.running,
    # And the first hundred of each queue, and of each limited queue what is held.
    "waiting.FACTS": 4 * LARGE.running,
}
"""Rows of statements that read more than they are about."""
NOT_USED = {
    "write rows and look for none": {
        "browser_sessions.INSERT",
        "browser_sessions.INSERT_CODE",
        "idempotency.INSERT",
        "inputs.ATTACH",
        "inputs.INSERT_CHUNK",
        "items.INSERT_NEW",
        "keys.INSERT",
        "live.change_feed.NOTIFY",
        "logs.INSERT",
        "projects.INSERT",
        "queues.PUT",
    },
    "read one row by the values of its key, or a page of one small table": {
        "browser_sessions.DELETE",
        "browser_sessions.FORGET_ENDED",
        "browser_sessions.MARK_USED",
        "browser_sessions.SELECT_BY_DIGESTS",
        "browser_sessions.SELECT_CODE",
        "browser_sessions.TAKE_CODE",
        "epochs.SELECT",
        "events.HEAD",
        "inputs.DELETE_CHUNKS",
        "inputs.SELECT_CHUNK",
        "key_lookups.SELECT_PRINCIPAL",
        "keys.MARK_USED",
        "keys.REVOKE",
        "keys.SELECT",
        "keys.SELECT_ANY",
        "keys.SELECT_IS_LAST_OPERATOR",
        "keys.SELECT_PAGE",
        "keys.SET_EXPIRY",
        "limits.LIMITED",
        "migrate.HAS_REVISIONS",
        "migrate.REVISIONS",
        "projects.SELECT",
        "projects.SELECT_PAGE",
        "queue_names.DELETE",
        "queue_names.HAS_LIVE_JOB",
        "queue_names.LOCK_PROJECTS",
        "queues.LOCK_ONE",
        "queues.SELECT_ONE",
        "queues.SELECT_PAGE",
        "repairs.ADVANCE",
        "repairs.FINISH",
        "repairs.NEXT",
    },
    "are about all there is": {"deletions.ANYTHING", "depths.DEPTHS", "inputs.ORPHANS", "installation.STORAGE"},
    "read the server's notes and no table": {"installation.SIZES"},
}


Step = Callable[["Tables"], Awaitable[None]]


class Tables:
    """A database of its own, in which nothing is analysed but by a step."""

    def __init__(self, connection: Explained) -> None:
        self.connection = connection
        self.faults: list[str] = []
        self.seen: set[str] = set()
        self._size = 0

    async def plan(self) -> None:
        """Plan every statement for the looks that follow, as a busy service does before much is there."""
        await self.connection.forget()
        for statement in PLANNED.values():
            await self.connection.prepare(statement)

    async def analyse(self) -> None:
        await self.connection.driver.execute("ANALYZE")

    async def small(self) -> None:
        await self._fill(SMALL)

    async def large(self) -> None:
        await self._fill(LARGE)

    async def ended(self) -> None:
        await self._fill(Size(LARGE.ended, 0, 0))

    async def live(self) -> None:
        await self._fill(Size(0, LARGE.running, LARGE.pending))

    async def restore(self) -> None:
        """Have the primary keys' indexes made after the others, as a dump does: the planner's choice of two equals."""
        for table, key in KEYS_OF_TABLES.items():
            await self.connection.driver.execute(
                f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY ({key})"
            )

    async def look(self) -> None:
        """Use every statement: by the plans there are, by those for the values at hand, and so behind a pooler."""
        await self._look("the plan there was")
        await self._set("plan_cache_mode = force_custom_plan")
        await self._look("a plan for its values")
        # A pooler may keep the session's settings from the server.
        await self._set("enable_seqscan = on")
        await self._look("a plan for its values, without our settings", ONCE_THROUGH, ONCE_THROUGH)
        await self._set("enable_seqscan = off")
        await self._set("plan_cache_mode = force_generic_plan")

    async def _fill(self, size: Size) -> None:
        await fill(self.connection, size)
        self._size = max(self._size, size.running)

    async def _set(self, setting: str) -> None:
        await self.connection.driver.execute(f"SET {setting}")

    async def _look(self, how: str, most_rows: int = MOST_ROWS, most_pages: int = MOST_PAGES) -> None:
        self.connection.read.clear()
        undone = self.connection.driver.transaction()
        await undone.start()
        await use(self.connection)
        await undone.rollback()
        self.seen |= set(self.connection.read)
        self.faults += [
            f"{name} by {how}, beside {self._size} that run: {reading}"
            for name, reading in self.connection.read.items()
            if reading.rows > most_rows + READS_MORE.get(name, 0)
            or reading.pages > most_pages + READS_MORE.get(name, 0)
        ]


KEYS_OF_TABLES = {
    "jobs": "project_id, id",
    "items": "project_id, job_id, key",
    "events": "project_id, job_id, id",
    "job_labels": "project_id, job_id, name",
    "inputs": "project_id, job_id",
}
HISTORIES: dict[str, tuple[Step, ...]] = {
    "never analysed": (
        Tables.plan,
        Tables.look,
        Tables.small,
        Tables.look,
        Tables.large,
        Tables.look,
        Tables.plan,
        Tables.look,
    ),
    "analysed while empty": (Tables.analyse, Tables.plan, Tables.large, Tables.look),
    "analysed while small": (Tables.small, Tables.analyse, Tables.plan, Tables.look, Tables.large, Tables.look),
    "analysed while nothing ran": (
        Tables.ended,
        Tables.analyse,
        Tables.plan,
        Tables.live,
        Tables.look,
        Tables.analyse,
        Tables.look,
    ),
    "restored from a dump": (Tables.restore, Tables.analyse, Tables.plan, Tables.large, Tables.look),
}


@pytest_asyncio.fixture
async def tables(create_database: Callable[..., Awaitable[str]]) -> AsyncIterator[Tables]:
    """A session of the service's own on an empty database."""
    database = Database(make_engine(await create_database(), pool_size=1, prepared=True))
    async with database.connection() as connection:
        for table in await connection.driver.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            await connection.driver.execute(f"ALTER TABLE {table[0]} SET (autovacuum_enabled = off)")
        yield Tables(Explained(connection))
    await database.close()


SHORT = ("never analysed", "analysed while small")
"""Histories that are tested each time; the others are among the long tests."""


@pytest.mark.parametrize(
    "history", [name if name in SHORT else pytest.param(name, marks=pytest.mark.long) for name in HISTORIES]
)
async def test_no_statement_reads_more_than_it_is_about(tables: Tables, history: str) -> None:
    for step in HISTORIES[history]:
        await step(tables)

    assert not tables.faults, "\n".join(fault[:MOST_SHOWN] for fault in tables.faults)
    # A new one is used in `used_tables`, or it stands in `NOT_USED` with the reason.
    assert set(PLANNED) - tables.seen == set().union(*NOT_USED.values())
