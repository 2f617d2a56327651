"""A gate between the moment that a statement sees and the moment in which it locks.

It is a lock that the statement meets with the first job it reads: in a row security policy, which is evaluated for the
rows as they were when the statement began.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from app.db.connection import Connection
from app.db.engine import Database
from tests import sql

GATE = 7
SET_UP = f"""
    CREATE FUNCTION gate() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('test.gated', true) = 'on' THEN
            PERFORM pg_advisory_lock_shared({GATE});
            PERFORM pg_advisory_unlock_shared({GATE});
        END IF;
        RETURN true;
    END $$;
    ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
    ALTER TABLE jobs FORCE ROW LEVEL SECURITY;
    CREATE POLICY gated ON jobs USING (gate()) WITH CHECK (true)
"""
WAITING = (
    f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {GATE} AND NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@asynccontextmanager
async def between_snapshot_and_lock(database: Database, statement: Awaitable[list[Any]]) -> AsyncIterator[Connection]:
    """Hold a statement that has begun; the connection is for what happens meanwhile. It goes on at the end."""
    async with database.connection() as other:
        await other.driver.execute(f"SELECT pg_advisory_lock({GATE})")
        begun = asyncio.ensure_future(statement)
        async with asyncio.timeout(10):
            while not await sql.fetch_value(other, WAITING):
                assert not begun.done()
                await asyncio.sleep(0)
        yield other
        await other.driver.execute(f"SELECT pg_advisory_unlock({GATE})")
        await asyncio.wait({begun})
