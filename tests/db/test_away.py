"""A database that lets nobody in any more: a unit of work says that it is not available, and nothing else."""

import asyncpg
import pytest

from app.db.engine import Database
from app.domain.errors import UnavailableError
from tests import sql

ONE = "SELECT 1"


async def test_a_database_that_was_closed_to_us_is_unavailable(
    database: Database, database_url: str, admin: asyncpg.Connection
) -> None:
    name = database_url.partition("@/")[2].partition("?")[0]
    async with database.connection() as one, database.connection() as two:
        assert await sql.fetch_value(one, ONE) == await sql.fetch_value(two, ONE) == 1
    await admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    for _ in range(3):
        with pytest.raises(UnavailableError):
            await database.read(lambda connection: sql.fetch_value(connection, ONE))
        with pytest.raises(UnavailableError):
            await database.write(lambda connection: sql.fetch_value(connection, ONE))
    await admin.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    assert await database.read(lambda connection: sql.fetch_value(connection, ONE)) == 1
