"""Readiness says which check fails."""

from app.core.health import Health
from app.db.connection import Connection
from app.db.engine import Database, make_engine
from tests import sql


async def run(database: Database, statement: str) -> None:
    async def work(connection: Connection) -> None:
        await sql.execute(connection, statement)

    await database.write(work)


async def test_a_migrated_database_is_ready(database: Database) -> None:
    assert await Health(database).failures() == {}


async def test_a_database_that_was_never_migrated_is_not(database: Database) -> None:
    await run(database, "DROP TABLE alembic_version")
    assert set(await Health(database).failures()) == {"migrations"}


async def test_a_newer_schema_lets_the_old_version_go_on(database: Database) -> None:
    await run(database, "UPDATE alembic_version SET version_num = '9999'")
    assert await Health(database).failures() == {}


async def test_a_draining_process_is_not_ready(database: Database) -> None:
    health = Health(database)
    health.draining = True
    assert set(await health.failures()) == {"draining"}


async def test_a_database_that_is_away_is_named() -> None:
    away = Database(make_engine("postgresql://nobody@127.0.0.1:1/none", pool_size=1))
    assert set(await Health(away).failures()) == {"database"}
    await away.close()
