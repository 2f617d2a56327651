"""The migrations make what `tables.py` describes, and go up and down with data in place."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from app.db import migrate
from app.db.columns import Xid8
from app.db.engine import Database, make_engine
from app.db.tables import metadata
from app.domain.states import JobState
from app.paths import migrations_dir
from tests import factories, sql

CreateDatabase = Callable[..., Awaitable[str]]

CHECKS = text("""
    SELECT c.conrelid::regclass::text AS table, c.conname AS name, pg_get_constraintdef(c.oid) AS definition
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
    WHERE n.nspname = 'public' AND c.contype <> 'n'
      AND c.conrelid IS DISTINCT FROM to_regclass('public.alembic_version')
""")
INDEXES = text("SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
COLUMNS = text("""
    SELECT table_name, column_name, udt_name, is_nullable, column_default, identity_generation, ordinal_position
    FROM information_schema.columns WHERE table_schema = 'public'
""")
FILLFACTORS = text("""
    SELECT c.relname, option FROM pg_class c, unnest(c.reloptions) AS option
    WHERE c.relnamespace = 'public'::regnamespace AND option LIKE 'fillfactor=%'
""")
FUNCTIONS = text("""
    SELECT p.proname, p.provolatile::text, btrim(regexp_replace(p.prosrc, '\\s+', ' ', 'g')) AS source
    FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
""")


async def _schema(url: str) -> dict[str, set[tuple[Any, ...]]]:
    database = Database(make_engine(url, pool_size=1))
    async with database.engine.connect() as connection:
        found = {
            name: {tuple(row) for row in await connection.execute(statement) if "alembic_version" not in row}
            for name, statement in (
                ("checks", CHECKS),
                ("indexes", INDEXES),
                ("columns", COLUMNS),
                ("fillfactors", FILLFACTORS),
                ("functions", FUNCTIONS),
            )
        }
    await database.close()
    return found


async def test_the_head_is_what_the_tables_say_to_alembic(database: Database) -> None:
    def compare(connection: Connection) -> list[Any]:
        # SQLAlchemy knows no xid8; told so, it compares it like any type.
        connection.dialect.ischema_names = {**connection.dialect.ischema_names, "xid8": Xid8}  # type: ignore[attr-defined]
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(compare) == []


async def test_the_head_is_what_the_tables_create(database_url: str, create_database: CreateDatabase) -> None:
    """Alembic looks at neither CHECKs, nor the WHERE of an index, nor the fillfactor: PostgreSQL's own words do."""
    created = await create_database(migrated=False)
    database = Database(make_engine(created, pool_size=1))
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await database.close()

    migrated = await _schema(database_url)
    described = await _schema(created)

    for kind, expected in described.items():
        assert migrated[kind] == expected, kind
        assert expected


@pytest.mark.parametrize(
    "wrong",
    [
        "state = 'lost'",
        "state = 'completed'",
        "completed_at = now()",
        "progress = 101",
        "progress = -1",
        "attempt = max_attempts + 1",
        "attempt = -1",
    ],
)
async def test_job_that_cannot_be_is_refused_whoever_writes_it(database: Database, wrong: str) -> None:
    async with database.transaction() as connection:
        job = await factories.job(connection, await factories.project(connection))
    with pytest.raises(asyncpg.CheckViolationError, match="jobs_valid"):
        async with database.transaction() as connection:
            await connection.driver.execute(f"UPDATE jobs SET {wrong} WHERE id = $1", job.id)


async def test_upgrade_and_downgrade_with_data_in_place(create_database: CreateDatabase) -> None:
    url = await create_database(migrated=False)
    assert not await asyncio.to_thread(migrate.is_current, url)

    await asyncio.to_thread(migrate.upgrade, url)
    assert await asyncio.to_thread(migrate.is_current, url)

    database = Database(make_engine(url, pool_size=1))
    async with database.transaction() as connection:
        project_id = await factories.project(connection)
        for state in JobState:
            await factories.job(connection, project_id, state=state, items=2)
    await asyncio.to_thread(migrate.upgrade, url)
    async with database.connection() as connection:
        count = await sql.fetch_value(connection, "SELECT count(*) FROM jobs")
    assert count == len(JobState)
    await database.close()

    await asyncio.to_thread(migrate.downgrade, url, "base")
    assert not await asyncio.to_thread(migrate.is_current, url)
    left = await _schema(url)
    assert not any(left.values())

    await asyncio.to_thread(migrate.upgrade, url)
    assert await asyncio.to_thread(migrate.is_current, url)


async def test_walks_to_mend_stored_deadlines_are_planned_only_where_jobs_are_stored(
    create_database: CreateDatabase,
) -> None:
    """Of the two the second comes when no process of the version before writes such deadlines any more."""
    planned = "SELECT name, begins_at <= now() AS begun FROM repairs ORDER BY begins_at"
    found = []
    for jobs in (0, 1):
        url = await create_database(migrated=False)
        await asyncio.to_thread(migrate.upgrade, url, "0002")
        database = Database(make_engine(url, pool_size=1))
        async with database.transaction() as connection:
            project_id = await factories.project(connection)
            for _ in range(jobs):
                await factories.job(connection, project_id)
        await asyncio.to_thread(migrate.upgrade, url)
        async with database.connection() as connection:
            found.append([(row.name, row.begun) for row in await sql.fetch(connection, planned)])
        await database.close()
    assert found == [[], [("deadlines", True), ("deadlines after the deploy", False)]]


async def test_many_processes_may_migrate_at_once(create_database: CreateDatabase) -> None:
    url = await create_database(migrated=False)
    program = "import sys; from app.db import migrate; migrate.upgrade(sys.argv[1])"

    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, url, cwd=migrations_dir().parent)
        for _ in range(3)
    ]

    assert [await one.wait() for one in started] == [0, 0, 0]
    assert await asyncio.to_thread(migrate.is_current, url)
